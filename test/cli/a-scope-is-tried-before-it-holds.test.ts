import assert from "node:assert/strict";
import { it } from "node:test";
import { insertCalls } from "../support/activity.ts";
import { openCli } from "./fixture.ts";

it("agent scope --dry-run says what it would have refused, and changes nothing", async (t) => {
  const { run, json, owner, workspaceId } = await openCli(t);
  await json(["agent", "deploy", "coder"]);
  const rule = ["agent", "scope", "coder", "--rule", "POST /openai/v1/responses", "--dry-run"];
  const none = await run(rule);
  assert.match(none.stdout, /^There were no calls since /);

  const [agent] = await owner<{ id: string }[]>`select id from x3sproxy.agents`;
  const of = { workspaceId, agentId: agent?.id ?? "", atMs: Date.now() };
  await insertCalls(owner, of, 4298);
  await insertCalls(owner, { ...of, method: "GET", path: "/v1/files" }, 12);
  const { status, stdout } = await run(rule);
  assert.equal(status, 0);
  assert.match(stdout, /^This scope would have refused 12 of 4,310 calls since \S+\.$/m);
  assert.match(stdout, /^CALLS +METHOD +PATH +FROM +REASON$/m);
  assert.match(stdout, /^12 +GET +\/openai\/v1\/files +192\.0\.2\.1 +path_not_allowed$/m);
  assert.doesNotMatch(stdout, /can't be told/);
  await insertCalls(owner, { ...of, path: "" }, 3);
  assert.match((await run(rule)).stdout, /Of 3 it can't be told/);

  assert.partialDeepStrictEqual(await json(rule), {
    ...{ calls: 4313, refused: 12, unknown: 3, judged: { models: false, limits: false } },
    examples: [{ method: "GET", path: "/v1/files", calls: 12 }],
  });
  assert.partialDeepStrictEqual(await json(["agent", "scope", "coder"]), { rules: null });

  const wrong = await run(["agent", "scope", "coder", "--rule", "nonsense", "--dry-run"]);
  assert.equal(wrong.status, 1);
  assert.match(wrong.stderr, /give rules as/);
});
