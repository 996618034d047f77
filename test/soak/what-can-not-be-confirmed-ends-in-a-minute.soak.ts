// One of two services loses the database altogether; at the other an agent is destroyed. In real time: the promise is 60 s.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, request, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { it } from "node:test";
import { createTestDatabase } from "../support/database.ts";
import { runService, type RunningService } from "../support/service.ts";
import { createTcpGate } from "../support/tcp-gate.ts";

const AT_MOST_MS = 60_500;

it("a stream at a service without its database is cut after 60 s, and new calls are refused before", async (t) => {
  const upstream = createServer((incoming, outgoing) => {
    incoming.resume();
    outgoing.write("data: begin\n\n");
  }).listen(0, "127.0.0.1");
  const database = await createTestDatabase();
  const gate = await createTcpGate(database.ownerUrl);
  const env = {
    X3SPROXY_ORIGIN_OPENAI: `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`,
    X3SPROXY_ALLOW_PRIVATE_UPSTREAMS: "127.0.0.0/8",
    X3SPROXY_DRAIN_TIMEOUT: "1s",
  };
  const well = await runService({ database, env });
  const cutOff = await runService({
    database: { ...database, ownerUrl: gate.url },
    env,
    apiKey: well.apiKey,
  });
  t.after(async () => {
    await cutOff.remove();
    await well.remove();
    await gate.close();
    upstream.closeAllConnections();
    upstream.close();
    await database.drop();
  });
  await well.setSecret("openai", "sk-FAKE-real-key-0123456789-abcdefghij");
  const token = await well.deploy("coder");
  const open = async ({ proxyUrl }: RunningService): Promise<IncomingMessage> => {
    const outgoing = request(`${proxyUrl}/openai/v1/stream`, {
      agent: false,
      headers: { authorization: `Bearer ${token}` },
    });
    outgoing.on("error", () => undefined);
    outgoing.end();
    const [incoming] = (await once(outgoing, "response")) as [IncomingMessage];
    incoming.on("error", () => undefined);
    incoming.resume();
    return incoming;
  };
  const [here, there] = [await open(well), await open(cutOff)];
  await gate.set("refuse");
  const startMs = performance.now();
  const ended = [here, there].map(
    (incoming) =>
      new Promise<number>((resolve) =>
        incoming.once("close", () => resolve(performance.now() - startMs)),
      ),
  );
  await well.cliJson(["agent", "destroy", "coder"]);
  const [hereMs = 0, thereMs = 0] = await Promise.all(ended);
  t.diagnostic(
    `cut after ${Math.round(hereMs)} ms with, ${Math.round(thereMs)} ms without database`,
  );
  assert.ok(thereMs < AT_MOST_MS);
  assert.ok(!there.complete && !here.complete);
  assert.equal((await open(cutOff)).statusCode, 503);
});
