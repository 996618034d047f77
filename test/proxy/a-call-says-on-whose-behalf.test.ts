// What an agent says in x3sproxy-context-* headers is kept with the record, and never goes upstream.
import assert from "node:assert/strict";
import { test } from "node:test";
import postgres from "postgres";
import { openTarget } from "../support/attack.ts";
import { openWithUpstream } from "../support/data-plane.ts";
import { eventually } from "../support/eventually.ts";
import { createEcho, openWebSocket } from "../support/websocket-upstream.ts";

const LINE = "GET /openai/v1/models HTTP/1.1";
const MARK = "FAKE-context-mark";

test("it is in the log line by name, of refused calls too, and no spelling of it goes up", async (t) => {
  const { ask, sent, token, plane } = await openTarget(t);
  const mine = `Authorization: Bearer ${token}`;
  const spellings = [
    "x3sproxy-context-run",
    "X3SPROXY-CONTEXT-User",
    "x3sproxy_context_reason",
    "X3sProxy-Context_Ticket",
  ];
  const fields = spellings.map((name, n) => `${name}: ${MARK} ${n}`);
  const { status } = await ask([LINE, mine, ...fields]);
  assert.equal(status, 200);
  const up = sent();
  assert.doesNotMatch(up, /context/i);
  assert.ok(!up.includes(MARK));
  assert.deepEqual((await plane.exchange())["context"], {
    run: `${MARK} 0`,
    user: `${MARK} 1`,
    reason: `${MARK} 2`,
    ticket: `${MARK} 3`,
  });

  await ask(["GET /mistral/v1/models HTTP/1.1", mine, "x3sproxy-context-run: r1"]);
  const refused = await plane.exchange((line) => line["reason"] === "no_secret");
  assert.deepEqual(refused["context"], { run: "r1" });

  await ask([LINE, mine]);
  const plain = await plane.exchange((line) => line["status"] === 200 && !("context" in line));
  assert.equal(plain["outcome"], "completed");
});

test("what is only like it does not go up either, nor is it kept", async (t) => {
  const { ask, sent, token, plane } = await openTarget(t);
  const others = [
    "x3sproxy-context",
    "x3sproxy-contexts-run",
    "x3sproxy.context.run",
    "x3sproxy+context-run",
    "x3sproxy_contextrun",
    "http-x3sproxy-context-run",
    "http_x3sproxy_context_run",
    "x-x3sproxy~context",
  ];
  const fields = others.map((name) => `${name}: ${MARK}`);
  const { status } = await ask([LINE, `Authorization: Bearer ${token}`, ...fields]);
  assert.equal(status, 200);
  const up = sent();
  assert.ok(!up.includes(MARK), up);
  assert.equal((await plane.exchange())["context"], undefined);
  assert.ok(!JSON.stringify(plane.logged()).includes(MARK));
});

test("whoever has no live token has nothing of it kept", async (t) => {
  const { ask, plane } = await openTarget(t);
  await ask([LINE, `x3sproxy-context-run: ${MARK}`]);
  await ask([
    LINE,
    `Authorization: Bearer x3sproxy_${"A".repeat(32)}`,
    `x3sproxy-context-run: ${MARK}`,
  ]);
  await plane.exchange((line) => line["reason"] === "unknown_token");
  assert.ok(!JSON.stringify(plane.logged()).includes(MARK));
});

test("the bounds: what is just within them passes, what is just outside is refused", async (t) => {
  const { ask, sent, token, plane } = await openTarget(t);
  const send = async (...fields: string[]): Promise<string | number> => {
    const answer = await ask([LINE, `Authorization: Bearer ${token}`, ...fields]);
    return answer.header("x3sproxy-refusal") ?? answer.status;
  };
  const eight = Array.from({ length: 8 }, (_, n) => `x3sproxy-context-n${n}: ${MARK}`);
  assert.equal(await send(...eight), 200);
  assert.equal(await send(`x3sproxy-context-${"a-1b".repeat(8)}: v`), 200);
  assert.equal(await send(`x3sproxy-context-run: ${"~ !x".repeat(50)}`), 200);
  sent();
  for (const [what, fields] of Object.entries({
    "nine of them": [...eight, "x3sproxy-context-n8: v"],
    "a name of 33": [`x3sproxy-context-${"a".repeat(33)}: v`],
    "no name": ["x3sproxy-context-: v"],
    "a name with a dot": ["x3sproxy-context-a.b: v"],
    "a value of 201": [`x3sproxy-context-run: ${"x y".repeat(67)}`],
    "an empty value": ["x3sproxy-context-run:"],
    "a value of spaces": ["x3sproxy-context-run:   "],
    "a tab": ["x3sproxy-context-run: a\tb"],
    "a letter that is not ASCII": ["x3sproxy-context-run: caf\u00e9"],
    "the same twice": ["x3sproxy-context-run: a", "x3sproxy-context-run: a"],
    "the same in two spellings": ["x3sproxy-context-run: a", "X3sproxy_Context_Run: b"],
  })) {
    assert.equal(await send(...fields), "bad_context", what);
  }
  assert.equal(sent(), "");
  const lines = await eventually(() => {
    const refused = plane.logged().filter((line) => line["reason"] === "bad_context");
    return refused.length === 11 && refused;
  });
  assert.ok(lines.every((line) => line["context"] === undefined));
  const { status, body } = await ask([
    LINE,
    `Authorization: Bearer ${token}`,
    "x3sproxy-context-: v",
  ]);
  assert.equal(status, 400);
  assert.match(body, /at most 8/);
});

test("a credential in it is refused and not logged", async (t) => {
  const { ask, sent, token, plane } = await openTarget(t);
  const mine = `Authorization: Bearer ${token}`;
  const CANARY = "FAKEcanary0123456789abcdefgh";
  const credentials = [
    token,
    `Bearer ${token}`,
    `x3sproxy_${CANARY}abcd`,
    `run with X3SKEY_${CANARY}`,
    `x3sreg_${CANARY}`,
    `(x3ssess_${CANARY})`,
    `sk-ant-api03-${CANARY}`,
    `key=sk-proj-${CANARY}`,
    `for alice: "AIza${CANARY}"`,
    `https://user:xai-${CANARY}@example.test/`,
    `gsk_${CANARY}`,
    `token;${CANARY}${CANARY}`,
  ];
  for (const value of credentials) {
    const answer = await ask([LINE, mine, `x3sproxy-context-reason: ${value}`]);
    assert.equal(answer.header("x3sproxy-refusal"), "bad_context", value);
    assert.ok(!answer.text.includes("canary"));
  }
  const named = `x3sproxy-context-sk-${CANARY.toLowerCase()}`;
  assert.equal((await ask([LINE, mine, `${named}: v`])).header("x3sproxy-refusal"), "bad_context");
  // It is no slot: a token in it is nobody's credential.
  const only = await ask([LINE, `x3sproxy-context-run: ${token}`]);
  assert.equal(only.header("x3sproxy-refusal"), "missing_token");
  assert.equal(sent(), "");
  await plane.exchange((line) => line["reason"] === "missing_token");
  const log = JSON.stringify(plane.logged()).toLowerCase();
  assert.ok(!log.includes("canary") && !log.includes(token.toLowerCase()));
  assert.match(log, /bad_context/);
});

test("a WebSocket has it as a request has", async (t) => {
  const upstream = await createEcho();
  t.after(() => upstream.close());
  const plane = await openWithUpstream(t, upstream.origin);
  const headers = { authorization: `Bearer ${plane.token}`, "X3sproxy-Context-Run": "r-7" };
  const socket = await openWebSocket(`${plane.url}/openai/v1/realtime`, { headers });
  socket.close();
  const line = await plane.exchange((each) => each["websocket"] === true);
  assert.deepEqual(line["context"], { run: "r-7" });
  const owner = postgres(plane.ownerUrl, { max: 1 });
  t.after(() => owner.end());
  const [row] = await eventually(async () => {
    const rows = await owner`
      select agent, provider, context, requests::int from x3sproxy.activity_contexts`;
    return rows.length > 0 && rows;
  });
  assert.deepEqual(row, {
    ...{ agent: "agent", provider: "openai", context: { run: "r-7" }, requests: 1 },
  });
  const seen = JSON.stringify(upstream.requests[0]?.rawHeaders);
  assert.doesNotMatch(seen, /context/i);
  const twice = openWebSocket(`${plane.url}/openai/v1/realtime`, {
    headers: { ...headers, x3sproxy_context_run: "r-8" },
  });
  await assert.rejects(twice);
  assert.equal((await plane.exchange((each) => each["reason"] === "bad_context"))["status"], 400);
  assert.equal(upstream.requests.length, 1);
});
