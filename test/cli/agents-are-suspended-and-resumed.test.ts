import assert from "node:assert/strict";
import { it } from "node:test";
import { openCli } from "./fixture.ts";

it("one, and the list and a redeployment show it", async (t) => {
  const { run, json } = await openCli(t);
  await json(["agent", "deploy", "coder"]);
  await json(["agent", "deploy", "tester"]);
  const { name, suspendedAt } = (await json(["agent", "suspend", "coder"])) as Record<
    string,
    unknown
  >;
  assert.equal(name, "coder");
  assert.equal(typeof suspendedAt, "string");
  const { stdout } = await run(["agent", "list"]);
  assert.match(stdout, /^coder +production +suspended /m);
  assert.match(stdout, /^tester +production +active /m);
  assert.partialDeepStrictEqual(await json(["agent", "deploy", "coder"]), { suspendedAt });
  const deployed = await run(["agent", "deploy", "coder"]);
  assert.match(deployed.stdout, /^# It is suspended\. .*x3sproxy agent resume coder$/m);

  assert.partialDeepStrictEqual(await json(["agent", "resume", "coder"]), { suspendedAt: null });
  assert.doesNotMatch((await run(["agent", "list"])).stdout, /suspended/);
});

it("all: it says how many, and which stay suspended", async (t) => {
  const { run, json } = await openCli(t);
  for (const name of ["coder", "tester"]) await json(["agent", "deploy", name]);
  await json(["agent", "suspend", "tester"]);
  const suspended = await run(["agent", "suspend", "--all", "--yes"]);
  assert.equal(suspended.status, 0, suspended.stderr);
  assert.match(suspended.stdout, /\(2\) are suspended/);
  const { stdout } = await run(["agent", "list"]);
  assert.match(stdout, /^coder +production +suspended /m);
  assert.match(stdout, /x3sproxy agent resume --all/);
  const { agentsSuspendedAt } = (await json(["agent", "suspend", "--all"])) as Record<
    string,
    unknown
  >;
  assert.equal(typeof agentsSuspendedAt, "string");
  assert.match((await run(["agent", "resume", "tester"])).stdout, /x3sproxy agent resume --all/);
  await json(["agent", "suspend", "tester"]);

  const resumed = await run(["agent", "resume", "--all"]);
  assert.match(resumed.stdout, /1 of them is suspended by itself/);
  assert.partialDeepStrictEqual(await json(["agent", "resume", "--all"]), {
    agentsSuspendedAt: null,
  });
  assert.match((await run(["agent", "list"])).stdout, /^coder +production +active /m);
});

it("neither a name nor --all, or both, is wrong usage", async (t) => {
  const { run } = await openCli(t);
  for (const verb of ["suspend", "resume"]) {
    for (const args of [[], ["coder", "--all"]]) {
      const { status, stderr } = await run(["agent", verb, ...args]);
      assert.equal(status, 2, stderr);
      assert.match(stderr, /name of an agent, or --all/);
    }
    const { status, stdout } = await run(["agent", verb, "no-such-agent", "--json"]);
    assert.equal(status, 1);
    assert.partialDeepStrictEqual(JSON.parse(stdout), { error: { code: "agent_not_found" } });
  }
});
