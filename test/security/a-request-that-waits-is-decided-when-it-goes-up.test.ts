// Promise 3 counts from the moment in which a request begins to go up: whatever waits for its body or for a connection is decided again.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { after, before, describe, test, type TestContext } from "node:test";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { systemClock, type Clock } from "../../src/platform/clock.ts";
import { actorIn } from "../support/actor.ts";
import { createAuthority, type Authority } from "../support/authority.ts";
import { createConnectProxy } from "../support/connect-proxy.ts";
import { FAKE_KEY, openWithUpstream, type DataPlane } from "../support/data-plane.ts";
import { eventually } from "../support/eventually.ts";
import { get } from "../support/limits.ts";
import { head, openWireClient, webSocketHead, type WireClient } from "../support/wire.ts";

const SECOND_KEY = "sk-FAKE-second-key-0123456789-abcdefghij";
const TARGET = "/openai/v1/chat/completions";
const BODY = '{"model":"gpt-5","n":1}';
const JSON_TYPE = "Content-Type: application/json";

interface Scene {
  readonly plane: DataPlane & { readonly token: string };
  /** Closes the way to the upstream: connections wait. */
  readonly closeWay: () => void;
  readonly openWay: () => void;
  /** How many connections wait. */
  readonly waiting: () => number;
  readonly seen: { readonly authorization: string | undefined; readonly url: string }[];
}

/** A request that waits for something. */
interface Wait {
  readonly begin: (scene: Scene, client: WireClient, token: string) => Promise<void>;
  readonly end: (scene: Scene, client: WireClient) => void | Promise<void>;
}

const LENGTH_HEAD = { method: "POST", headers: [JSON_TYPE, `Content-Length: ${BODY.length}`] };
const CHUNKED_HEAD = { method: "POST", headers: [JSON_TYPE, "Transfer-Encoding: chunked"] };

const forConnection = (bytes: (token: string) => string): Wait => ({
  async begin({ closeWay, waiting }, client, token) {
    closeWay();
    client.send(bytes(token));
    await eventually(() => waiting() === 1);
  },
  end: ({ openWay }) => openWay(),
});

const WAITS: Readonly<Record<string, Wait>> = {
  "for the rest of its body": {
    async begin({ plane }, client, token) {
      client.send(head(token, TARGET, LENGTH_HEAD) + BODY.slice(0, 1));
      await eventually(async () => (await openExchanges(plane)) === 1);
    },
    end: (_, client) => client.send(BODY.slice(1)),
  },
  "for the rest of its body, byte by byte": {
    async begin({ plane }, client, token) {
      client.send(head(token, TARGET, LENGTH_HEAD) + BODY.slice(0, 1));
      await eventually(async () => (await openExchanges(plane)) === 1);
    },
    async end({ plane }, client) {
      for (const byte of BODY.slice(1)) {
        client.send(byte);
        // A turn of its own for each.
        await get(plane, "x3sproxy_00000000000000000000000000000000");
      }
    },
  },
  "for a connection": forConnection((token) => head(token, TARGET, LENGTH_HEAD) + BODY),
  "for a connection, with a body that streams": forConnection(
    (token) =>
      head(token, TARGET, CHUNKED_HEAD) + `${BODY.length.toString(16)}\r\n${BODY}\r\n0\r\n\r\n`,
  ),
  "for a connection, as a WebSocket": forConnection((token) =>
    webSocketHead(token, "/openai/v1/realtime?model=gpt-5"),
  ),
};

/** What happens meanwhile, and how the request is answered then: by our refusal, or by an upstream that got another key. */
const CHANGES: Readonly<
  Record<
    string,
    {
      readonly make: (plane: DataPlane) => Promise<unknown>;
      readonly answer: string | { readonly key: string };
    }
  >
> = {
  "the key is replaced": {
    make: (plane) => plane.save("openai", SECOND_KEY),
    answer: { key: SECOND_KEY },
  },
  "the key is deleted": {
    async make(plane) {
      const by = actorIn(plane.workspaceId);
      const [secret] = await plane.secrets.list(plane.workspaceId);
      await plane.secrets.delete(by, secret?.id ?? "");
    },
    answer: "no_secret",
  },
  "the token is replaced by a deployment": {
    make: (plane) => plane.deploy("held"),
    answer: "unknown_token",
  },
  "the provider leaves the scope": {
    make: (plane) =>
      plane.agents.changeScope(actorIn(plane.workspaceId), "held", { providers: ["anthropic"] }),
    answer: "provider_not_allowed",
  },
  "a rule for the path comes": {
    make: (plane) =>
      plane.agents.changeScope(actorIn(plane.workspaceId), "held", {
        rules: ["GET /openai/v1/models"],
      }),
    answer: "path_not_allowed",
  },
  "the model leaves the list": {
    make: (plane) =>
      plane.agents.changeScope(actorIn(plane.workspaceId), "held", { models: ["gpt-4"] }),
    answer: "model_not_allowed",
  },
  "the list of models is taken away": {
    make: (plane) => plane.agents.changeScope(actorIn(plane.workspaceId), "held", { models: null }),
    answer: { key: FAKE_KEY },
  },
};

async function openExchanges(plane: DataPlane): Promise<number | undefined> {
  return (await plane.metrics.openExchanges.get()).values[0]?.value;
}

/** Has the token's grant in the cache and its key open, so that what is sent next is decided at once. */
async function callOnce({ plane, seen }: Scene, token: string): Promise<void> {
  assert.equal((await get(plane, token)).status, 200);
  await eventually(async () => (await openExchanges(plane)) === 0);
  seen.length = 0;
}

/** Until what has just been changed holds for new calls. */
async function untilLoadedAnew(plane: DataPlane, token: string): Promise<void> {
  const nowMs = systemClock.monotonicMs();
  await eventually(async () => {
    const current = await plane.grants.resolve(token);
    return typeof current === "string" || current.loadedAtMs >= nowMs;
  });
}

describe("a request that waits is decided when it goes up", () => {
  let authority: Authority;
  let server: ReturnType<typeof createServer>;
  let port = 0;
  const seen: { authorization: string | undefined; url: string }[] = [];

  before(async () => {
    authority = await createAuthority();
    setDefaultCACertificates([...getCACertificates("default"), authority.certificate]);
    server = createServer(await authority.issue(), (request, response) => {
      const { url = "" } = request;
      seen.push({ authorization: request.headers.authorization, url });
      // Each call waits for a connection of its own.
      response.setHeader("connection", "close");
      void request.toArray().then(() => response.end("up"));
    });
    server.on("upgrade", (request, socket) => {
      seen.push({ authorization: request.headers.authorization, url: request.url ?? "" });
      socket.end("HTTP/1.1 426 Upgrade Required\r\ncontent-length: 2\r\n\r\nup");
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    port = (server.address() as AddressInfo).port;
  });
  after(async () => {
    server.close();
    server.closeAllConnections();
    await authority.remove();
  });

  async function open(t: TestContext, clock?: Clock): Promise<Scene> {
    let way: Promise<void> | undefined;
    let openWay = (): void => undefined;
    let waiting = 0;
    const proxy = await createConnectProxy({
      port,
      async answer() {
        waiting++;
        await way;
        waiting--;
        return 200;
      },
    });
    t.after(() => proxy.close());
    t.after(() => openWay());
    const env = {
      HTTPS_PROXY: proxy.url,
      // Longer than any wait in here: what ends the request is never its grace.
      X3SPROXY_REDEPLOY_GRACE: "5m",
    };
    const plane = await openWithUpstream(t, `https://127.0.0.1:${port}`, env, clock);
    seen.length = 0;
    return {
      plane,
      seen,
      closeWay() {
        way = new Promise((resolve) => (openWay = resolve));
      },
      openWay: () => openWay(),
      waiting: () => waiting,
    };
  }

  for (const [waits, { begin, end }] of Object.entries(WAITS)) {
    for (const [changes, { make, answer }] of Object.entries(CHANGES)) {
      test(`it waits ${waits}; ${changes}`, async (t) => {
        const scene = await open(t);
        const { plane } = scene;
        const token = await plane.deploy("held", { models: ["gpt-5"] });
        await callOnce(scene, token);
        const client = await openWireClient(plane.port);
        await begin(scene, client, token);
        await make(plane);
        await untilLoadedAnew(plane, token);
        await end(scene, client);
        const found = await client.answer();
        if (typeof answer === "string") {
          assert.equal(found.header("x3sproxy-refusal"), answer);
          assert.deepEqual(scene.seen, [], "nothing went up");
        } else {
          assert.equal(found.body, "up");
          const keys = scene.seen.map(({ authorization }) => authorization);
          assert.deepEqual(keys, [`Bearer ${answer.key}`]);
        }
      });
    }
  }

  test("the token comes to its end", async (t) => {
    let laterMs = 0;
    const clock = { ...systemClock, nowMs: () => systemClock.nowMs() + laterMs };
    const scene = await open(t, clock);
    const { plane, seen: up } = scene;
    const token = await plane.deploy("held", { ttlMs: 60_000 });
    await callOnce(scene, token);
    const client = await openWireClient(plane.port);
    client.send(head(token, TARGET, LENGTH_HEAD) + BODY.slice(0, 1));
    await eventually(async () => (await openExchanges(plane)) === 1);
    laterMs = 60_000;
    client.send(BODY.slice(1));
    assert.equal((await client.answer()).header("x3sproxy-refusal"), "expired_token");
    assert.deepEqual(up, []);
  });

  test("what already goes up when its key is replaced ends with the key that it began with", async (t) => {
    const { plane, seen: up } = await open(t);
    const client = await openWireClient(plane.port);
    client.send(head(plane.token, TARGET, CHUNKED_HEAD) + "1\r\n{\r\n");
    await eventually(() => up.length === 1);
    await plane.save("openai", SECOND_KEY);
    await untilLoadedAnew(plane, plane.token);
    client.send("1\r\n}\r\n0\r\n\r\n");
    assert.equal((await client.answer()).body, "up");
    assert.deepEqual(
      up.map(({ authorization }) => authorization),
      [`Bearer ${FAKE_KEY}`],
    );
  });
});
