// The kill switch of one agent and of all, and registrations, in the dashboard of the real service.
import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually } from "../support/eventually.ts";
import { assertGood, openDashboard, openStream, refusalOf } from "./narrow-agent.ts";

test("a suspension cuts what is open; resumed, it goes on", async (t) => {
  const { service, owner } = await openDashboard(t, "POST /openai/v1/responses");
  const { page } = owner;
  const { token } = { token: await service.deploy("coder") };
  const stream = await openStream(service, token);
  await page.getByRole("link", { name: "Agents", exact: true }).click();
  await page.getByRole("button", { name: "Suspend coder" }).click();
  await assertGood(owner);
  await page.getByRole("button", { name: "Suspend it" }).click();
  await assert.rejects(stream.end);
  await page.getByRole("row", { name: /^coder suspended/ }).waitFor();
  assert.equal(await refusalOf(service, token), "agent_suspended");
  await page.getByRole("link", { name: "coder", exact: true }).click();
  await page.getByText(/^Suspended just now/).waitFor();
  await assertGood(owner);
  await page.getByRole("button", { name: "Resume" }).click();
  await page.getByText("coder goes on").waitFor();
  await eventually(async () => (await refusalOf(service, token)) === null);

  const other = await openStream(service, token);
  await page.getByRole("link", { name: "Settings", exact: true }).click();
  await page.getByRole("link", { name: "Workspace", exact: true }).click();
  await page.getByRole("button", { name: "Suspend all agents" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByText("1 agent", { exact: true }).waitFor();
  await assertGood(owner);
  await dialog.getByRole("button", { name: "Suspend all agents" }).click();
  await assert.rejects(other.end);
  await page.getByRole("link", { name: "Activity", exact: true }).click();
  await page.getByText("All agents are suspended").waitFor();
  await assertGood(owner);
  await page.getByRole("button", { name: "Resume them" }).click();
  await page.getByText("All agents are suspended").waitFor({ state: "detached" });
  await eventually(async () => (await refusalOf(service, token)) === null);
  assert.deepEqual(owner.complaints, []);
});

test("a registration token is traded once, or revoked", async (t) => {
  const { service, owner, token, setupUrl } = await openDashboard(t);
  const { page } = owner;
  await page.goto(new URL("/agents/coder", setupUrl).href);
  const list = page.getByRole("table", { name: "Registrations" });
  const make = async (life: string) => {
    await page.getByRole("button", { name: "Make a registration token" }).click();
    await page.getByLabel("It is good for").selectOption(life);
    await page.getByRole("button", { name: "Make it" }).click();
    await page.getByRole("heading", { name: "The registration token is ready" }).waitFor();
    const made = await page.getByTestId("copy-text").innerText();
    const command = await page.getByLabel("command", { exact: true }).innerText();
    assert.ok(command.includes(made) && command.includes(`--url ${service.proxyUrl}`), command);
    await assertGood(owner);
    await page.getByRole("button", { name: "I have it" }).click();
    await page.getByRole("heading", { name: /is ready$/ }).waitFor({ state: "detached" });
    assert.ok(!(await page.content()).includes(made), "the token is gone with the dialog");
    await list.getByRole("row", { name: /Revoke/ }).waitFor();
    return made;
  };
  const trade = (registration: string) =>
    fetch(`${service.proxyUrl}/_x3sproxy/register`, {
      method: "POST",
      headers: { authorization: `Bearer ${registration}` },
    });

  const revoked = await make("600");
  await page.getByRole("button", { name: /^Revoke/ }).click();
  await page.getByText("None is open").waitFor();
  assert.equal((await trade(revoked)).status, 401);

  const traded = await trade(await make("86400"));
  assert.equal(traded.status, 201);
  const { token: next } = (await traded.json()) as { token: string };
  await eventually(async () => (await refusalOf(service, token)) === "unknown_token");
  assert.equal(await refusalOf(service, next), "path_not_allowed");
  await page.reload();
  await page.getByText("None is open").waitFor();
  assert.deepEqual(owner.complaints, []);
});
