import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { describe, test, type TestContext } from "node:test";
import { createTestDatabase } from "../support/database.ts";
import { createHttpUpstream } from "../support/http-upstream.ts";
import { runService, type RunningService } from "../support/service.ts";
import { head, openWireClient } from "../support/wire.ts";
import { readSamples } from "../metrics/exposition.ts";

const KEY = "sk-FAKE-real-key-0123456789-abcdefghij";
const REQUESTS = 60_000;
// Of the calls beside a flood, half may take so much longer than those before; what a busy machine does to single ones is its own.
const LONGER_MS = 50;
const LONGEST_MS = 2_000;
const MORE_MEMORY_MB = 150;

async function open(t: TestContext): Promise<RunningService & { token: string }> {
  const database = await createTestDatabase();
  t.after(() => database.drop());
  const upstream = await createHttpUpstream((request, response) => {
    if (request.url?.includes("never") !== true) response.end("ok");
  });
  t.after(() => upstream.close());
  const service = await runService({
    database,
    env: {
      X3SPROXY_ORIGIN_OPENAI: upstream.origin,
      X3SPROXY_ALLOW_PRIVATE_UPSTREAMS: "127.0.0.0/8",
      X3SPROXY_LOG_LEVEL: "error",
      X3SPROXY_DRAIN_TIMEOUT: "2s",
    },
  });
  t.after(() => service.remove());
  await service.setSecret("openai", KEY);
  return { ...service, token: await service.deploy("agent") };
}

const portOf = (service: RunningService): number => Number(new URL(service.proxyUrl).port);

/** How long calls take, one after the other, until `until` says so and there were at least 100. */
async function timeCalls(
  { proxyUrl, token }: { proxyUrl: string; token: string },
  until: () => boolean = () => true,
): Promise<{ medianMs: number; longestMs: number }> {
  const times: number[] = [];
  while (times.length < 100 || !until()) {
    const startMs = performance.now();
    const answer = await fetch(`${proxyUrl}/openai/v1/models`, {
      headers: { authorization: `Bearer ${token}` },
    });
    assert.equal(await answer.text(), "ok");
    times.push(performance.now() - startMs);
  }
  times.sort((a, b) => a - b);
  return { medianMs: times[times.length >> 1] ?? 0, longestMs: times.at(-1) ?? 0 };
}

async function memoryMb({ metricsUrl }: RunningService): Promise<number> {
  const text = await (await fetch(`${metricsUrl}/metrics`)).text();
  const sample = readSamples(text).find(({ name }) => name === "process_resident_memory_bytes");
  return Number(sample?.value) / 1024 / 1024;
}

describe("a flood of pipelined requests holds up no call", () => {
  test("without a live token, each with another one, and then dropped", async (t) => {
    const service = await open(t);
    const before = await timeCalls(service);
    const flood = Array.from({ length: REQUESTS }, () =>
      head(`x3sproxy_${randomBytes(16).toString("hex")}`, "/openai/v1/models"),
    ).join("");
    const client = await openWireClient(portOf(service));
    client.send(flood);
    let calls = 0;
    const beside = await timeCalls(service, () => {
      if (++calls === 50) client.socket.destroy();
      return calls > 200;
    });
    assert.ok(beside.longestMs < LONGEST_MS, `one took ${beside.longestMs} ms`);
    assert.ok(beside.medianMs < before.medianMs + LONGER_MS, `half took ${beside.medianMs} ms`);
  });

  test("with a token, behind a call without an answer; and SIGTERM is heard", async (t) => {
    const service = await open(t);
    const before = await timeCalls(service);
    const beforeMb = await memoryMb(service);
    const client = await openWireClient(portOf(service));
    client.send(head(service.token, "/openai/v1/never"));
    client.send(head(service.token, "/openai/v1/models").repeat(REQUESTS));
    const beside = await timeCalls(service);
    const moreMb = (await memoryMb(service)) - beforeMb;
    assert.ok(moreMb < MORE_MEMORY_MB, `${moreMb} MB more`);
    client.socket.destroy();
    const afterwards = await timeCalls(service);
    for (const { longestMs, medianMs } of [beside, afterwards]) {
      assert.ok(longestMs < LONGEST_MS, `one took ${longestMs} ms`);
      assert.ok(medianMs < before.medianMs + LONGER_MS, `half took ${medianMs} ms`);
    }
    const again = await openWireClient(portOf(service));
    again.send(head(service.token, "/openai/v1/never"));
    again.send(head(service.token, "/openai/v1/models").repeat(REQUESTS));
    const startMs = performance.now();
    assert.equal(await service.stop(), 0);
    assert.ok(performance.now() - startMs < 10_000);
  });
});
