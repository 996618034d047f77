// A throw-away engine over raw sockets, to measure what one would give in place of node:http and undici with all of the shipped
// work included: route, credential slots, grant, decision, injection, headers, deadlines, record, log. Started by
// ../peers/engine.ts with its settings in the environment. Must never be shipped: README.md says why, and what it leaves out.
import { randomBytes, randomUUID } from "node:crypto";
import { createServer } from "node:net";
import { createAccess, type Access } from "../../src/access/index.ts";
import { systemClock, type Clock } from "../../src/clock.ts";
import { readConfig } from "../../src/config.ts";
import type { Sql } from "../../src/db/index.ts";
import { hashBearer, newProcessId } from "../../src/ids.ts";
import { listen } from "../../src/listen.ts";
import { createLog, type Log } from "../../src/log.ts";
import { createMetrics, type Metrics } from "../../src/metrics.ts";
import { createAddressRule } from "../../src/proxy/address-rule.ts";
import { createDeadlineClock } from "../../src/proxy/deadlines.ts";
import { createExchanges } from "../../src/proxy/exchange.ts";
import { providerHostSuffix } from "../../src/proxy/route.ts";
import { createVault, loadMasterKeys, type Vault } from "../../src/vault/index.ts";
import { ClientConnection, Upstreams, type Engine } from "./connections.ts";

const SWEEP_MS = 1_000;
const PROVIDER = "openai";

const { PORT = "", UPSTREAM = "", TOKEN = "", REAL_KEY = "" } = process.env;

/** The shipped access over a database of one row: the caches, the look-ups and the decision are the real ones. */
function accessTo(
  row: unknown,
  o: { vault: Vault; clock: Clock; log: Log; metrics: Metrics },
): Access {
  const tokenHash = hashBearer(TOKEN);
  const answer = (_statement: unknown, hash: Buffer): Promise<unknown> =>
    Promise.resolve([{ row: hash.toString("hex") === tokenHash ? row : null, released: true }]);
  return createAccess({
    ...o,
    redeployGraceMs: 60_000,
    releaseEveryMs: 3_600_000,
    processId: newProcessId(),
    pool: {
      query: (ask) => ask(answer as unknown as Sql),
      transaction: () => Promise.reject(new Error("there is no database")),
      inWorkspace: () => Promise.reject(new Error("there is no database")),
      close: () => Promise.resolve(),
    },
    changes: { onChange: () => undefined, onGap: () => undefined, close: () => Promise.resolve() },
  });
}

/** What the database would say of the token: an agent that may use every provider, and one sealed key. */
function rowOf(vault: Vault, origin: string): unknown {
  const place = {
    workspaceId: randomUUID(),
    secretId: randomUUID(),
    version: 1,
    origin,
    header: "authorization",
    scheme: "Bearer",
  };
  const { keyId, wrappedKey, ciphertext } = vault.seal(place, REAL_KEY);
  const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");
  return {
    workspaceId: place.workspaceId,
    agentId: randomUUID(),
    agentName: "bench",
    environment: "production",
    deployment: 1,
    expiresAtMs: null,
    providers: null,
    allowedEndpoints: [],
    customProviders: [],
    secrets: [
      {
        ...place,
        provider: PROVIDER,
        keyId,
        wrappedKey: base64(wrappedKey),
        ciphertext: base64(ciphertext),
      },
    ],
  };
}

function createHttpDate(clock: Clock): () => string {
  let second = -1;
  let text = "";
  return () => {
    const nowS = Math.floor(clock.nowMs() / 1000);
    if (nowS !== second) {
      second = nowS;
      text = new Date(nowS * 1000).toUTCString();
    }
    return text;
  };
}

const masterKey = randomBytes(32).toString("base64");
const config = readConfig({
  X3SPROXY_MASTER_KEY: masterKey,
  X3SPROXY_ALLOW_PRIVATE_UPSTREAMS: "127.0.0.0/8,::1",
  X3SPROXY_ORIGIN_OPENAI: `http://127.0.0.1:${UPSTREAM}`,
});
const clock = systemClock;
const log = createLog({ level: "info" });
const metrics = createMetrics();
const vault = await createVault(await loadMasterKeys(config, { mayCreate: false }));
const origin = config.originOverrides.get(PROVIDER) ?? "";
const engine: Engine = {
  calls: {
    access: accessTo(rowOf(vault, origin), { vault, clock, log, metrics }),
    vault,
    originOverrides: config.originOverrides,
    hostSuffix: providerHostSuffix(config.publicUrl),
    dashboardUrl: config.dashboardUrl,
    trustedProxies: config.trustedProxies,
  },
  exchanges: createExchanges({ clock, log, metrics }),
  deadlines: config.deadlines,
  deadlineClock: createDeadlineClock(clock),
  upstreams: new Upstreams(createAddressRule(config.allowPrivateUpstreams)),
  httpDate: createHttpDate(clock),
  log,
};

const clients = new Set<ClientConnection>();
const server = createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000 });
server.on("connection", (socket) => {
  const client = new ClientConnection(engine, socket);
  clients.add(client);
  socket.once("close", () => clients.delete(client));
});
setInterval(() => {
  for (const client of clients) client.sweep();
  engine.upstreams.sweep();
}, SWEEP_MS).unref();
process.once("SIGTERM", () => {
  engine.exchanges.flush();
  process.exit(0);
});
const address = await listen(server, { host: "127.0.0.1", port: Number(PORT) });
log.info("listening", { route: "proxy", address: `${address.host}:${address.port}` });
