import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { describe, test, type TestContext } from "node:test";
import { createTestDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { createHttpUpstream } from "../support/http-upstream.ts";
import { runService, type RunningService } from "../support/service.ts";
import { readSamples } from "../metrics/exposition.ts";

const KEY = "sk-FAKE-real-key-0123456789-abcdefghij";
const OPEN_FILES = 1024;
const CONNECTIONS = 1200;
const CALLS = 40;
const CALL_WITHIN_MS = 5_000;

type Service = RunningService & { readonly token: string };

async function open(t: TestContext): Promise<Service> {
  const database = await createTestDatabase();
  t.after(() => database.drop());
  const upstream = await createHttpUpstream((_, response) => response.end("ok"));
  t.after(() => upstream.close());
  const service = await runService({
    database,
    openFiles: OPEN_FILES,
    env: {
      X3SPROXY_ORIGIN_OPENAI: upstream.origin,
      X3SPROXY_ALLOW_PRIVATE_UPSTREAMS: "127.0.0.0/8",
      // The data plane, too, waits no longer for a request to begin.
      X3SPROXY_CLIENT_IDLE_TIMEOUT: "5s",
    },
  });
  t.after(() => service.remove());
  await service.setSecret("openai", KEY);
  return { ...service, token: await service.deploy("agent") };
}

/** Connections that say nothing; resolves when each is open or was turned away. */
async function connectSilently(t: TestContext, url: string): Promise<{ closed(): number }> {
  const port = Number(new URL(url).port);
  const sockets: Socket[] = [];
  t.after(() => {
    for (const socket of sockets) socket.destroy();
  });
  for (let n = 0; n < CONNECTIONS; n++) {
    const socket = connect(port, "127.0.0.1");
    socket.on("error", () => undefined);
    socket.resume();
    sockets.push(socket);
  }
  await Promise.all(
    sockets.map((socket) =>
      Promise.race([once(socket, "connect"), once(socket, "close")]).catch(() => undefined),
    ),
  );
  return { closed: () => sockets.filter((socket) => socket.closed).length };
}

/**
 * Of a listener, as the service counts them. Those that the kernel dropped from a full accept queue stay open on this side for good:
 * nobody tells a client that says nothing.
 */
const openAt = (service: Service, listener: string): Promise<number> =>
  metricOf(service, "x3sproxy_connections", { listener });

/** Calls on a connection of their own each, as from agents that were not there before. */
async function callAll({ proxyUrl, token }: Service): Promise<void> {
  for (let n = 0; n < CALLS; n++) {
    const answer = await fetch(`${proxyUrl}/openai/v1/models`, {
      headers: { authorization: `Bearer ${token}`, connection: "close" },
      signal: AbortSignal.timeout(CALL_WITHIN_MS),
    });
    assert.equal(answer.status, 200);
    assert.equal(await answer.text(), "ok");
  }
}

async function metricOf(service: Service, name: string, labels: Record<string, string>) {
  // Of the silent ones some are let in by the system only after a while, and are in the way once more.
  const text = await eventually(
    async () => (await fetch(`${service.metricsUrl}/metrics`).catch(() => undefined))?.text(),
    20_000,
  );
  const found = readSamples(text).find(
    (sample) =>
      sample.name === name &&
      Object.entries(labels).every(([label, value]) => sample.labels[label] === value),
  );
  return Number(found?.value);
}

const isReady = async ({ metricsUrl }: Service): Promise<boolean> =>
  (await fetch(`${metricsUrl}/readyz`).catch(() => undefined))?.status === 200;

describe("silent connections to one listener hold up no other", () => {
  for (const listener of ["metrics", "admin"] as const) {
    test(`to the ${listener} listener: calls go on, and what is over its bound is turned away`, async (t) => {
      const service = await open(t);
      const silent = await connectSilently(t, service[`${listener}Url`]);
      await callAll(service);
      // That they were closed is known here only once this process has come to read it.
      await eventually(() => silent.closed() > CONNECTIONS / 2, 2_000);
      await eventually(() => isReady(service), 10_000);
      await callAll(service);
      const labels = { listener, reason: "full" };
      const most = await metricOf(service, "x3sproxy_connections_max", { listener });
      const closed = silent.closed();
      assert.ok(
        (await metricOf(service, "x3sproxy_connections_refused_total", labels)) >= closed - most,
      );
      assert.equal(await metricOf(service, "x3sproxy_open_files_exhausted_total", {}), 0);
      const said = service.output.stdout.split('"connections refused"').length - 1;
      assert.ok(said >= 1 && said <= 3, `the log says so ${said} times`);
      assert.ok(most < CONNECTIONS / 4);
      // None of them stays: each has to say something in time. What asks for the metrics has one itself.
      await eventually(async () => (await openAt(service, listener)) <= 1, 20_000);
      const answer = await fetch(`${service.adminUrl}/api/v1/me`);
      assert.equal(answer.status, 401);
    });
  }

  test("to the data plane: it is full for a while, health and the admin side are not", async (t) => {
    const service = await open(t);
    await connectSilently(t, service.proxyUrl);
    assert.ok(await isReady(service));
    assert.equal((await service.cli(["agent", "list"])).status, 0);
    assert.ok(
      (await metricOf(service, "x3sproxy_connections_refused_total", {
        listener: "proxy",
        reason: "full",
      })) > 0,
    );
    await eventually(async () => (await openAt(service, "proxy")) === 0, 60_000);
    await callAll(service);
  });
});
