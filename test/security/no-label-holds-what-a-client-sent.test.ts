// Whoever can make series by what they send can fill the memory of the proxy and of Prometheus, and put text where people read it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { newBearer, PROXY_TOKEN_PREFIX } from "../../src/platform/ids.ts";
import { readSamples, valueOf } from "../metrics/exposition.ts";
import { actorIn } from "../support/actor.ts";
import { openTarget } from "../support/attack.ts";
import { eventually } from "../support/eventually.ts";
import { createHttpUpstream } from "../support/http-upstream.ts";
import { openWireClient } from "../support/wire.ts";

const CANARY = "canary5e1f";
// Two providers, custom and none beside them; each further one in use adds about 40.
const MOST_SERIES = 600;

test("hostile methods, paths, providers, models, tokens, contexts, hosts, statuses: no new series, and nothing of it", async (t) => {
  const statuses = [200, 299, 302, 418, 599, 600, 999];
  const odd = await createHttpUpstream((request, response) => {
    request.resume();
    response.writeHead(statuses[odd.requests % statuses.length] ?? 200).end(CANARY);
  });
  t.after(() => odd.close());
  const { plane, token, ask } = await openTarget(t, {
    providers: ["openai", "anthropic"],
    env: { X3SPROXY_TRUSTED_PROXIES: "127.0.0.0/8" },
  });
  const custom = `${CANARY}-custom`;
  await plane.customProviders.put(actorIn(plane.workspaceId), {
    ...{ name: custom, origin: odd.origin, header: "authorization", scheme: "Bearer" },
  });
  await plane.save(custom, "FAKE-key-of-a-custom-provider", odd.origin);
  const round = async (i: number): Promise<void> => {
    const it = `${CANARY}${i}`;
    const mine = `Authorization: Bearer ${token}`;
    const body = JSON.stringify({ model: it });
    const length = `Content-Length: ${body.length}`;
    await Promise.all([
      ask([`POST /openai/v1/responses/${it}?${it}=${it} HTTP/1.1`, mine, length], body),
      ask([`${it.toUpperCase()} /openai/v1/models HTTP/1.1`, mine]),
      ask([`PROPFIND /anthropic/${it} HTTP/1.1`, mine]),
      ask([`GET /${it}/v1/models HTTP/1.1`, mine]),
      ...statuses.map(() => ask([`GET /${custom}/v1/${it} HTTP/1.1`, mine])),
      ask([`GET /openai/v1/models HTTP/1.1`, `Host: ${it}.test`, mine]),
      ask([
        `GET /openai/v1/models HTTP/1.1`,
        mine,
        `x3sproxy-context-${it}: ${it}`,
        `User-Agent: ${it}`,
      ]),
      ask([`GET /openai/v1/models HTTP/1.1`, mine, `X-Forwarded-For: 192.0.2.${i}`]),
      ask([
        `GET /openai/v1/models HTTP/1.1`,
        `Authorization: Bearer ${newBearer(PROXY_TOKEN_PREFIX)}`,
      ]),
      ask([`GET /openai/v1/models HTTP/1.1`, `Authorization: ${it} ${it}`]),
      ask([`GET /openai/%2f${it} HTTP/1.1`, mine]),
      ask([`GET /_x3sproxy/${it} HTTP/1.1`, mine]),
      ask([`POST /_x3sproxy/register HTTP/1.1`, `Authorization: Bearer x3sreg_${it}`]),
      ask([
        `GET /openai/v1/realtime HTTP/1.1`,
        mine,
        "Upgrade: websocket",
        "Connection: Upgrade",
        `Origin: ${it}`,
      ]),
      raw(plane.port, `${it}\r\n\r\n`),
    ]);
  };
  await plane.deploy(`${CANARY}-agent`);
  await round(0);
  /** Once all that was sent is over: that is a moment after its answer. */
  const read = async (): Promise<string> => {
    await eventually(
      async () => valueOf(await plane.metrics.text(), "x3sproxy_open_exchanges") === 0,
    );
    return plane.metrics.text();
  };
  const first = readSamples(await read());
  for (let i = 1; i <= 20; i++) await round(i);
  const text = await read();
  const last = readSamples(text);
  assert.ok(last.length < MOST_SERIES, `${last.length} series`);
  const named = (samples: typeof last): string[] =>
    samples
      .filter(({ name }) => name.startsWith("x3sproxy_"))
      .map(({ name, labels }) => `${name} ${JSON.stringify(labels)}`)
      .sort();
  assert.deepEqual(named(last), named(first));
  assert.ok(!text.toLowerCase().includes(CANARY));
  assert.ok(!text.includes("192.0.2."));
  const providers = new Set(
    last.flatMap(({ labels }) => (labels["provider"] === undefined ? [] : [labels["provider"]])),
  );
  assert.ok(odd.requests >= 100);
  const classes = last.flatMap(({ labels }) => labels["status_class"] ?? []);
  assert.deepEqual([...new Set(classes)].sort(), ["2xx", "3xx", "4xx", "5xx", "other"]);
  assert.deepEqual([...providers].sort(), ["anthropic", "custom", "none", "openai"]);
});

/** Bytes that are no request; resolves when they have been answered. */
async function raw(port: number, bytes: string): Promise<void> {
  const client = await openWireClient(port);
  client.send(bytes);
  await client.ended();
  client.socket.destroy();
}
