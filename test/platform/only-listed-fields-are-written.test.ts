import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createLog } from "../../src/platform/log.ts";

const AT_MS = Date.UTC(2026, 10, 30, 12);

/** The line of these fields, as a caller could write them that the compiler hasn't seen. */
function lineOf(fields: object, worker?: number): string {
  const lines: string[] = [];
  const destination = { write: (line: string) => lines.push(line) };
  const log = createLog({ level: "info", destination, ...(worker !== undefined && { worker }) });
  log.info("it is so", fields, AT_MS);
  assert.equal(lines.length, 1);
  return lines[0] ?? "";
}

describe("only listed fields are written", () => {
  it("in the order in which they are given, after the message", () => {
    assert.equal(
      lineOf({ path: "/v1", count: 2, websocket: true, context: { run: "7" }, reason: undefined }),
      `{"level":30,"time":"2026-11-30T12:00:00.000Z","msg":"it is so","path":"/v1","count":2,"websocket":true,"context":{"run":"7"}}\n`,
    );
    assert.equal(
      lineOf({ count: 2 }, 3),
      `{"level":30,"time":"2026-11-30T12:00:00.000Z","worker":3,"msg":"it is so","count":2}\n`,
    );
  });

  const line = lineOf({ count: 2 });
  const secret = "sk-not-to-be-seen";
  for (const [what, fields] of Object.entries({
    "a name that is not on the list": { authorization: secret, count: 2 },
    "an error": { err: new Error(secret), error: new Error(secret), count: 2 },
    "a request and a response": {
      ...{
        req: { url: secret },
        res: {},
        headers: { secret },
        socket: {},
        setHeader: () => secret,
      },
      count: 2,
    },
    "a name of the list with a value of another type": {
      ...{ path: { secret }, provider: [secret], reason: new Error(secret), agent: () => secret },
      count: 2,
    },
    "names that every object has": { constructor: secret, toString: () => secret, count: 2 },
    "a name that a parser takes for the prototype": Object.defineProperty(
      { count: 2 },
      "__proto__",
      {
        value: secret,
        enumerable: true,
      },
    ),
  })) {
    it(`not ${what}`, () => {
      assert.equal(lineOf(fields), line);
    });
  }

  it("what pino fills in by itself is not filled in", () => {
    assert.equal(
      lineOf({ method: "GET", headers: { a: secret }, socket: {}, pid: 1, hostname: secret }),
      line.replace('"count":2', '"method":"GET"'),
    );
  });
});
