// Clients that come with random tokens and leave before they are answered: they keep no place that a live token waits for, and the
// database is asked for none of them.
import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import { test } from "node:test";
import { withOwner } from "../../src/db/connection.ts";
import { newBearer, PROXY_TOKEN_PREFIX } from "../../src/platform/ids.ts";
import { OK } from "../support/attack.ts";
import { openDataPlane } from "../support/data-plane.ts";
import { eventually } from "../support/eventually.ts";
import { createCaller } from "../support/strangers.ts";
import { createCannedUpstream, head } from "../support/wire.ts";

const LEAVERS = 300;
const PLACES = 16;
const TARGET = "/openai/v1/models";

test("only those who stay are looked up", async (t) => {
  const upstream = await createCannedUpstream(OK);
  t.after(() => upstream.close());
  const plane = await openDataPlane(t, { env: { X3SPROXY_ORIGIN_OPENAI: upstream.origin } });
  await plane.save("openai");
  const token = await plane.deploy();
  const misses = async (): Promise<number> => {
    const { values } = await plane.metrics.cacheLookups.get();
    return values.find(({ labels }) => labels.result === "miss")?.value ?? 0;
  };
  const ended = (as: string): number =>
    plane.logged().filter((line) => line["msg"] === "exchange" && line["outcome"] === as).length;
  const sockets: Socket[] = [];
  const caller = createCaller(plane.port, 1);
  t.after(() => {
    caller.close();
    for (const socket of sockets) socket.destroy();
  });
  let live: Promise<string> | undefined;
  await withOwner(plane.ownerUrl, (sql) =>
    sql.begin(async (tx) => {
      await tx`lock table x3sproxy.proxy_tokens in access exclusive mode`;
      for (let i = 0; i < LEAVERS; i++) {
        const socket = connect(plane.port, "127.0.0.1").on("error", () => undefined);
        sockets.push(socket.resume());
        socket.write(head(newBearer(PROXY_TOKEN_PREFIX), TARGET));
      }
      await eventually(async () => (await misses()) === LEAVERS);
      live = caller.call(token);
      await eventually(async () => (await misses()) === LEAVERS + 1);
      // Half of them cut the connection, the others close it in good order.
      for (const [i, socket] of sockets.entries()) {
        if (i % 2 === 0) socket.resetAndDestroy();
        else socket.destroy();
      }
      // No look-up is over yet.
      await eventually(() => ended("client_left") >= LEAVERS - PLACES);
    }),
  );
  assert.equal(await live, "200");
  await eventually(() => ended("client_left") === LEAVERS);
});
