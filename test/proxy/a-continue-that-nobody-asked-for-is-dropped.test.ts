// RFC 9110, 15.2: a client has to take interim answers that it did not ask for. Whatever the network makes of them.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { openWithUpstream } from "../support/data-plane.ts";
import { createWireUpstream, head, openWireClient } from "../support/wire.ts";
import { inputs } from "../support/generated.ts";

const INTERIM: Record<string, string> = {
  "100": "HTTP/1.1 100 Continue\r\n\r\n",
  "100 with fields": "HTTP/1.1 100 Continue\r\nx-a: b\r\ncontent-length: 3\r\n\r\n",
  "100 without a phrase": "HTTP/1.1 100 \r\n\r\n",
  "102": "HTTP/1.1 102 Processing\r\n\r\n",
  "103": "HTTP/1.1 103 Early Hints\r\nx-hint: \r\n\r\n",
};
const FINAL = [
  "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
  "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
  "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok",
];

test("interim answers in any order and any pieces: all but 100 pass, and the answer is intact", async (t) => {
  let pieces: string[] = [];
  const upstream = await createWireUpstream(({ socket }) => {
    socket.on("data", () => {
      const own = pieces;
      const next = (): void => {
        const piece = own.shift();
        if (piece !== undefined) socket.write(piece, () => setImmediate(next));
      };
      next();
    });
  });
  t.after(() => upstream.close());
  const plane = await openWithUpstream(t, upstream.origin);
  const client = await openWireClient(plane.port);
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom(...Object.keys(INTERIM)), { minLength: 1, maxLength: 6 }),
      fc.constantFrom(...FINAL),
      fc.array(fc.nat(300), { maxLength: 5 }),
      fc.constantFrom("GET", "POST"),
      async (interim, final, cuts, method) => {
        const bytes = interim.map((name) => INTERIM[name] ?? "").join("") + final;
        const at = [0, ...cuts.filter((cut) => cut < bytes.length), bytes.length];
        at.sort((a, b) => a - b);
        pieces = at.slice(1).map((to, n) => bytes.slice(at[n], to));
        pieces = pieces.filter((piece) => piece !== "");
        client.send(head(plane.token, "/openai/v1/responses", { method }));
        for (const name of interim.filter((one) => !one.startsWith("100"))) {
          const answer = await client.answer(method);
          assert.equal(String(answer.status), name);
        }
        const answer = await client.answer(method);
        assert.equal(answer.status, 200);
        assert.equal(answer.body, "ok");
      },
    ),
    inputs(20_261_130, 200),
  );
});

test("nothing after one is a refusal, and not tried again", async (t) => {
  let requests = 0;
  const upstream = await createWireUpstream(({ socket }) => {
    socket.on("data", () => {
      if (++requests === 1) socket.write(FINAL[0] ?? "");
      else socket.end(INTERIM["100"] ?? "");
    });
  });
  t.after(() => upstream.close());
  const plane = await openWithUpstream(t, upstream.origin);
  const client = await openWireClient(plane.port);
  client.send(head(plane.token, "/openai/v1/responses"));
  assert.equal((await client.answer()).body, "ok");
  client.send(head(plane.token, "/openai/v1/responses"));
  const answer = await client.answer();
  assert.equal(answer.header("x3sproxy-refusal"), "upstream_protocol_error");
  assert.equal(requests, 2);
});
