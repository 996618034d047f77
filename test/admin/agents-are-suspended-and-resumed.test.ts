import assert from "node:assert/strict";
import { it } from "node:test";
import { stringAt, type Answer } from "./fixture.ts";
import { assertRefused, openPeople } from "./people.ts";

type People = Awaited<ReturnType<typeof openPeople>>;

/** The actions that `act` is recorded as. */
async function recorded({ events }: People, act: () => Promise<unknown>): Promise<unknown[]> {
  const before = (await events()).length;
  await act();
  return (await events()).slice(before).map((event) => event["action"]);
}

function valueAt(answer: Answer, kind: "agent" | "workspace", name: string): unknown {
  assert.ok(answer.status < 300, answer.text);
  return (answer.body[kind] as Record<string, unknown>)[name];
}

it("one by one; what it is already it stays, and that is no event", async (t) => {
  const people = await openPeople(t);
  const { first } = people;
  assert.equal((await first.call("POST", "/agents/coder/deployments", {})).status, 201);
  const suspend = () => first.call("POST", "/agents/coder/suspend");
  const resume = () => first.call("POST", "/agents/coder/resume");
  assert.deepEqual(await recorded(people, resume), []);
  assert.deepEqual(await recorded(people, suspend), ["agent.suspend"]);
  const at = stringAt(await first.call("GET", "/agents/coder"), "agent", "suspendedAt");
  assert.ok(Math.abs(Date.now() - Date.parse(at)) < 60_000);
  assert.deepEqual(await recorded(people, suspend), []);
  assert.equal(valueAt(await suspend(), "agent", "suspendedAt"), at);
  assert.deepEqual(await recorded(people, resume), ["agent.resume"]);
  assert.equal(valueAt(await resume(), "agent", "suspendedAt"), null);
});

it("a redeployment leaves it suspended, and says so; one of the same name is another", async (t) => {
  const { first } = await openPeople(t);
  const deploy = () => first.call("POST", "/agents/coder/deployments", {});
  await deploy();
  const at = valueAt(await first.call("POST", "/agents/coder/suspend"), "agent", "suspendedAt");
  assert.equal(valueAt(await deploy(), "agent", "suspendedAt"), at);
  assert.equal((await first.call("DELETE", "/agents/coder")).status, 200);
  assert.equal(valueAt(await deploy(), "agent", "suspendedAt"), null);
});

it("all at once, and each stays what it is by itself", async (t) => {
  const people = await openPeople(t);
  const { first } = people;
  for (const name of ["coder", "tester"]) {
    assert.equal((await first.call("POST", `/agents/${name}/deployments`, {})).status, 201);
  }
  await first.call("POST", "/agents/tester/suspend");
  const suspend = () => first.call("POST", "/workspace/suspend");
  const resume = () => first.call("POST", "/workspace/resume");
  assert.deepEqual(await recorded(people, resume), []);
  assert.deepEqual(await recorded(people, suspend), ["workspace.suspend"]);
  const at = valueAt(await first.call("GET", "/workspace"), "workspace", "agentsSuspendedAt");
  assert.equal(typeof at, "string");
  assert.deepEqual(await recorded(people, suspend), []);
  assert.equal(valueAt(await suspend(), "workspace", "agentsSuspendedAt"), at);
  assert.deepEqual(await recorded(people, resume), ["workspace.resume"]);
  assert.equal(valueAt(await resume(), "workspace", "agentsSuspendedAt"), null);
  const agent = async (name: string) =>
    valueAt(await first.call("GET", `/agents/${name}`), "agent", "suspendedAt");
  assert.equal(await agent("coder"), null);
  assert.notEqual(await agent("tester"), null);
});

it("throwing the switch asks for nothing; to let all go on again takes a fresh proof", async (t) => {
  const { first, ageProofs } = await openPeople(t);
  await first.call("POST", "/agents/coder/deployments", {});
  await ageProofs("1 hour");
  assert.equal((await first.call("POST", "/agents/coder/suspend")).status, 200);
  assert.equal((await first.call("POST", "/workspace/suspend")).status, 200);
  assertRefused(await first.call("POST", "/workspace/resume"), 403, "proof_needed");
  assert.equal((await first.call("POST", "/agents/coder/resume")).status, 200);
});

it("another workspace's agents, and the workspace itself, are left alone", async (t) => {
  const { first, call, addKey, addWorkspace } = await openPeople(t);
  await first.call("POST", "/agents/coder/deployments", {});
  const key = await addKey("owner", await addWorkspace("other"));
  assertRefused(
    await call("POST", "/api/v1/agents/coder/suspend", undefined, key),
    404,
    "agent_not_found",
  );
  assert.equal((await call("POST", "/api/v1/workspace/suspend", undefined, key)).status, 200);
  assert.equal(valueAt(await first.call("GET", "/agents/coder"), "agent", "suspendedAt"), null);
  const workspace = await first.call("GET", "/workspace");
  assert.equal(valueAt(workspace, "workspace", "agentsSuspendedAt"), null);
});

it("whoever is limited to agents can suspend those alone", async (t) => {
  const { first, join } = await openPeople(t);
  for (const name of ["coder", "other"]) {
    await first.call("POST", `/agents/${name}/deployments`, {});
  }
  const { browser } = await join("worker@example.test", "operator", ["coder"]);
  assert.equal((await browser.call("POST", "/agents/coder/suspend")).status, 200);
  assert.equal((await browser.call("POST", "/agents/coder/resume")).status, 200);
  assertRefused(await browser.call("POST", "/agents/other/suspend"), 404, "agent_not_found");
  assertRefused(await browser.call("POST", "/workspace/suspend"), 403, "role_too_low");
});
