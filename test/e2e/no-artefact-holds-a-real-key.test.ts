// The canary for promises 1, 2 and 5: after one run of everything, what the product has written, answered, stored or shown
// to other processes is searched for every real key, token, password and body, in every form.
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { createLookAlike } from "../../demo/look-alike/look-alike.ts";
import { withOwner } from "../../src/db/connection.ts";
import { createVault, loadMasterKeys, openDerivation } from "../../src/vault/index.ts";
import { eventually } from "../support/eventually.ts";
import { freePorts, runService, type RunningService } from "../support/service.ts";
import { createWireUpstream } from "../support/wire.ts";
import { endPostgres, postgresOf, processesIn } from "./checkout.ts";
import {
  administerBadly,
  BODY_MARK,
  callBadly,
  callProviders,
  KEY_MARK,
  KEYS,
  mistype,
  PASSWORD,
  setUp,
  TRACER,
  type Tokens,
} from "./everything.ts";
import { dumpTables, outputOf, ownerUrl, readFolder, sampleProcesses } from "./artefacts.ts";
import { findLeaks, type Artefact, type Watched } from "./leaks.ts";
import { createWitness, type Witness } from "./witness.ts";

const REFUSALS = [
  ...["bad_path", "bad_request", "conflicting_tokens", "expectation_failed", "expired_token"],
  ...["foreign_credential", "headers_too_large", "malformed_token", "method_not_allowed"],
  ...["missing_token", "no_secret", "not_found", "provider_not_allowed", "registration_invalid"],
  "secret_unreadable",
  ...["sensitive_endpoint", "store_unavailable", "unknown_provider", "unknown_token"],
  ...["upstream_protocol_error", "upstream_unreachable"],
];

test(
  "no artefact of a full run holds a real key",
  { skip: process.platform !== "linux" && "needs /proc" },
  async (t) => {
    const home = await mkdtemp(join(tmpdir(), "x3sproxy-canary-"));
    t.after(() => rm(home, { recursive: true, force: true }));
    const dataDir = join(home, "data");
    t.after(() => endPostgres(dataDir));
    const { env, lookAlike, origin } = await openUpstreams(t);
    const processes = sampleProcesses();
    t.after(() => processes.stop());

    const service = await runService({ dataDir, env: { ...env, HOME: home } });
    t.after(() => service.kill());
    const witness = createWitness(service);
    const tokens = await setUp(witness, origin);
    await callProviders(witness, service, tokens);
    processes.pause(true); // what somebody types into a command line stands there
    await mistype(witness, tokens);
    processes.pause(false);
    await administerBadly(witness, service);
    await expire(service);
    await callBadly(witness, service, tokens);
    await breakRow(witness, service, tokens);
    const dump = await dumpTables(service);
    const metrics = Buffer.from(await (await fetch(`${service.metricsUrl}/metrics`)).text());
    const whileItRuns = await readFolder(home);
    await loseDatabase(witness, service, tokens);
    const watched = await watch(service, tokens);
    await witness.run(["agent", "destroy", "other", "--yes"]);
    await witness.run(["secret", "delete", "openai", "--environment", "staging", "--yes"]);
    await service.stop();
    const crashed = await crash(t, home, { ...env, HOME: home });
    processes.stop();

    const artefacts: Artefact[] = [
      ...outputOf(service, "the service"),
      ...outputOf(crashed, "the crashed service"),
      ...[dump, { place: "the metrics", bytes: metrics }, processes.seen()],
      ...whileItRuns,
      ...(await readFolder(home)),
      ...witness.answers,
    ];
    const leaks = findLeaks(artefacts.map(withWhatItMayHold), watched);
    assert.deepEqual(leaks, []);

    // That nothing was found means something only where there was something to find.
    for (const reason of REFUSALS) assert.ok(witness.refusals.has(reason), `no ${reason}`);
    const traced = (part: Artefact[]) => findLeaks(part, [{ name: "tracer", text: TRACER }]);
    for (const place of ["the log of the service", "the dump", "file data/postgres/"]) {
      assert.notDeepEqual(traced(artefacts.filter((it) => it.place.startsWith(place))), [], place);
    }
    for (const action of ["secret.release", "registration.create", "service.start"]) {
      assert.ok(dump.bytes.includes(action), `the dump has a ${action}`);
    }
    for (const word of ["x3sproxy.js", "--providers", "X3SPROXY_DATA_DIR=", "listen_addresses"]) {
      assert.ok(processes.seen().bytes.includes(word), word);
    }
    assert.match(
      metrics.toString(),
      /x3sproxy_refusals_total\{reason="foreign_credential",kind="credential"\} [1-9]/,
    );
    assert.match(crashed.output.stderr, /unexpected Error/);
    // Upstream, the real keys and no token of ours.
    const upstream = lookAlike.requests.map(({ url, rawHeaders }) =>
      [url, ...rawHeaders].join("\n"),
    );
    assert.ok(upstream.some((request) => request.includes(KEYS.openaiNext)));
    const ours = watched.filter(({ name }) => name.startsWith("token") || name === "the API key");
    assert.deepEqual(
      findLeaks([{ place: "upstream", bytes: Buffer.from(upstream.join("\n")) }], ours),
      [],
    );
  },
);

/** A look-alike that knows the keys, a place where nobody is, and one where something else than HTTP is spoken. */
async function openUpstreams(t: TestContext) {
  const lookAlike = createLookAlike({
    keys: {
      openai: [KEYS.openai, KEYS.openaiNext],
      anthropic: [KEYS.anthropic],
      gemini: [KEYS.gemini],
      own: [KEYS.own],
    },
  });
  const origin = await lookAlike.listen();
  // It gives back what it got, as an answer that is none.
  const broken = await createWireUpstream(({ socket }) => {
    socket.once("data", (chunk) => socket.end(`HTTP/1.1 200 OK\r\n${chunk.toString()}\r\n\0`));
  });
  t.after(() => Promise.all([lookAlike.close(), broken.close()]));
  const nobody = `http://127.0.0.1:${(await freePorts(1))[0] ?? 1}`;
  const env = {
    X3SPROXY_ORIGIN_OPENAI: origin,
    X3SPROXY_ORIGIN_ANTHROPIC: origin,
    X3SPROXY_ORIGIN_GEMINI: origin,
    X3SPROXY_ORIGIN_MISTRAL: nobody,
    X3SPROXY_ORIGIN_GROQ: broken.origin,
    X3SPROXY_ALLOW_PRIVATE_UPSTREAMS: "127.0.0.0/8",
    X3SPROXY_LOG_LEVEL: "debug",
    X3SPROXY_DRAIN_TIMEOUT: "1s",
  };
  return { lookAlike, env, origin };
}

/** Time passes for the short-lived token. */
async function expire(service: RunningService): Promise<void> {
  await withOwner(
    await ownerUrl(service),
    (sql) => sql`
      update x3sproxy.proxy_tokens t set expires_at = now() - interval '1 second'
      from x3sproxy.agents a where a.id = t.agent_id and a.name = 'short-lived'`,
  );
}

/** A key's row that no longer opens. */
async function breakRow(witness: Witness, service: RunningService, tokens: Tokens): Promise<void> {
  await withOwner(await ownerUrl(service), async (sql) => {
    await sql`
      update x3sproxy.secret_versions v set ciphertext = set_byte(ciphertext, 30, 255 - get_byte(ciphertext, 30))
      from x3sproxy.secrets s where s.id = v.secret_id and s.provider = 'own'`;
  });
  await eventually(async () => {
    const headers = { authorization: `Bearer ${tokens.agent}` };
    return (await witness.call("GET", `${service.proxyUrl}/own/v1/models`, headers)).status === 503;
  });
}

/** The embedded server is killed; what is asked until it is back. */
async function loseDatabase(
  { call, run }: Witness,
  service: RunningService,
  tokens: Tokens,
): Promise<void> {
  const models = `${service.proxyUrl}/openai/v1/models`;
  const ask = (token: string) => call("GET", models, { authorization: `Bearer ${token}` });
  const pid = await postgresOf(service.dataDir);
  assert.ok(pid !== undefined);
  process.kill(pid, "SIGSTOP");
  for (const child of await processesIn(service.dataDir)) process.kill(child, "SIGKILL");
  await Promise.all([run(["secret", "list"]), run(["secret", "set", "openai"], KEYS.openai)]);
  const { status } = await ask(tokens.other.replace(/.$/, (last) => (last === "a" ? "b" : "a")));
  assert.ok(status === 503 || status === 401);
  await eventually(async () => (await ask(tokens.other)).status === 200);
}

/** Ends by an error that nobody caught, whose every part quotes a key. */
async function crash(
  t: TestContext,
  home: string,
  env: Record<string, string>,
): Promise<RunningService> {
  const folder = await mkdtemp(join(tmpdir(), "x3sproxy-crash-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const script = join(folder, "crash.mjs");
  await writeFile(
    script,
    `process.on("SIGUSR2", () => {
      const key = ${JSON.stringify(KEYS.openai)};
      throw Object.assign(new Error(key, { cause: new Error(key) }), { key, headers: [key] });
    });`,
  );
  const service = await runService({
    dataDir: join(home, "data"),
    env: { ...env, NODE_OPTIONS: `--import=${script}` },
  });
  service.process.kill("SIGUSR2");
  await eventually(() => service.process.exitCode !== null);
  assert.equal(service.process.exitCode, 1);
  await eventually(async () => (await processesIn(service.dataDir)).length === 0);
  return service;
}

async function watch(service: RunningService, tokens: Tokens): Promise<Watched[]> {
  const masterKey = (await readFile(join(service.dataDir, "master.key"), "utf8")).trim();
  const ring = await loadMasterKeys(
    { masterKey: { value: masterKey }, dataDir: service.dataDir, databaseUrl: undefined },
    { mayCreate: false },
  );
  const vault = await createVault(ring, await openDerivation(await ownerUrl(service), ring));
  const setupToken = /#token=(x3ssetup_\w+)/.exec(service.output.stderr)?.[1] ?? "";
  assert.notEqual(setupToken, "");
  return [
    { name: "a real key", text: KEY_MARK },
    { name: "the odd key", text: KEYS.own },
    { name: "a body", text: BODY_MARK },
    { name: "the password", text: PASSWORD },
    { name: "the API key", text: service.apiKey },
    { name: "the setup token", text: setupToken },
    { name: "the master key", text: masterKey },
    {
      name: "the database password",
      text: await readFile(join(service.dataDir, "postgres-password"), "utf8"),
    },
    { name: "the control password", text: vault.derive("database login control") },
    { name: "the proxy password", text: vault.derive("database login proxy") },
    ...Object.entries(tokens).map(([name, text]) => ({ name: `token ${name}`, text })),
  ];
}

/** Four things are where they have to be. */
function withWhatItMayHold(artefact: Artefact): Artefact {
  const { place, mayHold = [] } = artefact;
  const held: Readonly<Record<string, string>> = {
    "file data/admin-api-key": "the API key",
    "file data/master.key": "the master key",
    "file data/postgres-password": "the database password",
    "the banner of the service": "the setup token",
  };
  const own = held[place] ?? (place.startsWith("the answer to") ? "a body" : undefined);
  return own === undefined ? artefact : { ...artefact, mayHold: [...mayHold, own] };
}
