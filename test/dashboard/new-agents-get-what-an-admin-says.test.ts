// What new agents get, set in the settings of the real service, and what an operator then gets who deploys one.
import assert from "node:assert/strict";
import { test } from "node:test";
import { assertGood, openDashboard, PASSWORD } from "./narrow-agent.ts";
import { send } from "./workspace.ts";

test("an operator's new agent has it, and no more", async (t) => {
  const { service, browser, owner, setupUrl } = await openDashboard(t);
  const at = (path: string) => new URL(path, setupUrl).href;
  const { page } = owner;
  await page.goto(at("/settings/new-agents"));
  const part = (title: string) => page.getByRole("group", { name: title, exact: true });
  await part("Environments").getByLabel("Only these").check();
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.getByText("Give at least one, or choose “Not limited”").waitFor();
  await page.getByLabel("Environment 1", { exact: true }).fill("staging");
  await part("Providers").getByLabel("Only these").check();
  await page.getByLabel("OpenAI", { exact: true }).check();
  await page.getByRole("button", { name: "Chat only" }).click();
  await page.getByLabel("Requests a minute").fill("60");
  await assertGood(owner);
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.getByText("Saved what new agents get").waitFor();

  const invited = await send(service, "POST", "/invitations", {
    email: "operator@example.test",
    role: "operator",
  });
  const operator = await browser.open(String(invited["url"]));
  await operator.page.getByLabel("Password").fill(PASSWORD);
  await operator.page.getByRole("button", { name: "Join" }).click();
  await operator.page.getByRole("link", { name: "Not now" }).click();
  await operator.page.getByRole("link", { name: "Agents", exact: true }).click();
  await operator.page
    .getByRole("button", { name: /^Deploy/ })
    .first()
    .click();
  const dialog = operator.page.getByRole("dialog");
  await dialog
    .getByText(/^New agents of this workspace get: in staging · openai · \d+ rules · limits/)
    .waitFor();
  assert.equal(await dialog.getByLabel("Environment").inputValue(), "staging");
  await assertGood(operator);
  await dialog.getByLabel("Name").fill("newcomer");
  await dialog.getByLabel("Environment").fill("production");
  await dialog.getByRole("button", { name: "Deploy", exact: true }).click();
  await dialog.getByText("more than this workspace gives new agents: environment").waitFor();
  await dialog.getByLabel("Environment").fill("staging");
  await dialog.getByRole("button", { name: "Deploy", exact: true }).click();
  await operator.page.getByRole("heading", { name: "newcomer is deployed" }).waitFor();
  const { agent } = (await send(service, "GET", "/agents/newcomer", undefined)) as {
    agent: { environment: string; providers: string[]; rules: string[]; limits: object };
  };
  assert.deepEqual([agent.environment, agent.providers], ["staging", ["openai"]]);
  assert.partialDeepStrictEqual(agent.limits, { requestsPerMinute: 60 });
  assert.ok(agent.rules.every((rule) => rule.includes(" /openai/")));

  // An admin moves it, in the form of its scope.
  await page.goto(at("/agents/newcomer/scope"));
  await page.getByLabel("It is in").fill("production");
  await assertGood(owner);
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.getByText("Saved what newcomer may do").waitFor();
  const moved = await send(service, "GET", "/agents/newcomer", undefined);
  assert.partialDeepStrictEqual(moved["agent"], { environment: "production", deployment: 1 });
  assert.deepEqual(
    [...owner.complaints, ...operator.complaints].filter((it) => !it.includes("403")),
    [],
  );
});
