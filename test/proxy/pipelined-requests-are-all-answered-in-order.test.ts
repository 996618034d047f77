import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import fc from "fast-check";
import { createAuthority, type Authority } from "../support/authority.ts";
import { openWithUpstream, type DataPlane } from "../support/data-plane.ts";
import { createHttpUpstream } from "../support/http-upstream.ts";
import { head, openTlsClient, openWireClient } from "../support/wire.ts";
import { inputs } from "../support/generated.ts";

const SEED = 20261130;
const UNKNOWN = `x3sproxy_${"a".repeat(32)}`;

/** One request, and what has to come back for it. */
interface Asked {
  readonly bytes: (token: string, n: number) => string;
  readonly status: number;
  readonly body: (n: number) => string | undefined;
}

const path = (n: number): string => `/openai/v1/${n}`;
const echoed = (n: number): string => `/v1/${n}`;
const nothing = (): undefined => undefined;

const KINDS: readonly Asked[] = [
  { bytes: (token, n) => head(token, path(n)), status: 200, body: echoed },
  {
    bytes: (token, n) =>
      head(token, path(n), { method: "POST", headers: ["Content-Length: 5"] }) + "hello",
    status: 200,
    body: (n) => `${echoed(n)}hello`,
  },
  {
    bytes: (token, n) =>
      head(token, path(n), { method: "POST", headers: ["Transfer-Encoding: chunked"] }) +
      "5\r\nhello\r\n3\r\n yo\r\n0\r\n\r\n",
    status: 200,
    body: (n) => `${echoed(n)}hello yo`,
  },
  { bytes: (_, n) => head(UNKNOWN, path(n)), status: 401, body: nothing },
  { bytes: (token, n) => head(token, `/nobody/v1/${n}`), status: 404, body: nothing },
  {
    bytes: (token, n) =>
      head(token, path(n), { method: "POST", headers: ["Content-Length: 40000"] }) +
      "x".repeat(40_000),
    status: 200,
    body: (n) => echoed(n) + "x".repeat(40_000),
  },
];

let authority: Authority;
before(async () => (authority = await createAuthority()));
after(() => authority.remove());

/** Sends what was asked in parts that end anywhere, without waiting for an answer, and reads all answers. */
async function converse(
  plane: DataPlane & { token: string },
  isSecure: boolean,
  asked: readonly Asked[],
  cuts: readonly number[],
): Promise<void> {
  const client = isSecure
    ? await openTlsClient(plane.port, { ca: authority.certificate })
    : await openWireClient(plane.port);
  const bytes = asked.map((one, n) => one.bytes(plane.token, n)).join("");
  const ends = [...cuts.map((cut) => Math.floor(cut * bytes.length)), bytes.length];
  let from = 0;
  for (const end of ends.sort((a, b) => a - b)) {
    client.send(Buffer.from(bytes.slice(from, end), "latin1"));
    from = end;
    await new Promise(setImmediate); // a read of its own, mostly
  }
  for (const [n, { status, body }] of asked.entries()) {
    const answer = await client.answer();
    assert.equal(answer.status, status, `answer ${n}`);
    const expected = body(n);
    if (expected !== undefined) assert.equal(answer.body, expected);
  }
  client.socket.destroy();
}

describe("pipelined requests are all answered, in order, whatever reads they come in", () => {
  for (const isSecure of [false, true]) {
    test(isSecure ? "over TLS" : "plainly", async (t) => {
      const upstream = await createHttpUpstream((request, response) => {
        let body = "";
        request.setEncoding("latin1").on("data", (chunk: string) => (body += chunk));
        request.on("end", () => response.end((request.url ?? "") + body));
      });
      t.after(() => upstream.close());
      const { certFile, keyFile } = await authority.issueFiles();
      const plane = await openWithUpstream(
        t,
        upstream.origin,
        isSecure ? { X3SPROXY_TLS_CERT_FILE: certFile, X3SPROXY_TLS_KEY_FILE: keyFile } : {},
      );
      const sequences = fc.array(fc.constantFrom(...KINDS), { minLength: 2, maxLength: 40 });
      const cuts = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 12 });
      await fc.assert(
        fc.asyncProperty(sequences, cuts, (asked, where) =>
          converse(plane, isSecure, asked, where),
        ),
        inputs(SEED, 40),
      );
    });
  }

  test("thousands at once, of which most are refused", async (t) => {
    const upstream = await createHttpUpstream((request, response) => response.end(request.url));
    t.after(() => upstream.close());
    const plane = await openWithUpstream(t, upstream.origin);
    const [call, , , unknown] = KINDS;
    assert.ok(call !== undefined && unknown !== undefined);
    const asked = Array.from({ length: 2500 }, (_, n) => (n % 50 === 0 ? call : unknown));
    await converse(plane, false, asked, [0.5]);
  });
});
