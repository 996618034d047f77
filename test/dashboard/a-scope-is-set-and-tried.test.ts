// What an agent may do, in the dashboard of the real service: from a refusal's link to a scope that was tried on the last day.
import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually } from "../support/eventually.ts";
import {
  assertGood,
  get,
  openDashboard,
  PASSWORD,
  post,
  refusalOf,
  RULES,
} from "./narrow-agent.ts";
import { send } from "./workspace.ts";

const RECORDED_WITHIN_MS = 60_000;

test("a refusal's link leads to a scope, and a scope to what it refuses", async (t) => {
  const { service, owner, token } = await openDashboard(t);
  const { page } = owner;
  await get(service, token, "/openai/v1/models");
  await get(service, token, "/openai/v1/files");
  await get(service, token, "/openai/v1/files");
  const refused = await post(service, token);
  assert.equal(refused.status, 403);
  const [link = ""] = /http\S+\/agents\/coder\/scope/.exec(await refused.text()) ?? [];
  await page.goto(link);
  await page.getByRole("heading", { level: 1, name: "Scope of coder" }).waitFor();
  const rule = (at: number) => page.getByLabel(`Rule ${at}`, { exact: true });
  assert.deepEqual(await Promise.all([1, 2].map((at) => rule(at).inputValue())), RULES);

  await rule(2).fill("NONSENSE /openai/v1/responses");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.getByRole("alert").getByText("give rules as METHOD").first().waitFor();
  assert.equal(await rule(2).inputValue(), "NONSENSE /openai/v1/responses");
  await assertGood(owner);
  await rule(2).fill("POST /openai/v1/responses");

  const dialog = page.getByRole("dialog");
  await eventually(async () => {
    await page.getByRole("button", { name: "Try it on the last day" }).click();
    await dialog.waitFor();
    const told = dialog.getByRole("heading", { name: "This would have refused 2 of 3 calls" });
    if ((await told.count()) > 0) return true;
    await dialog.getByRole("button", { name: "Go on changing" }).click();
    await dialog.waitFor({ state: "detached" });
    return false;
  }, RECORDED_WITHIN_MS);
  await dialog
    .getByRole("row", { name: /GET \/openai\/v1\/files 127\.0\.0\.1 no rule allows it 2/ })
    .waitFor();
  assert.equal(await dialog.getByText("refuse all that the agent did").count(), 0);
  await assertGood(owner);
  await dialog.getByRole("button", { name: "Go on changing" }).click();
  await dialog.waitFor({ state: "detached" });

  await page.getByRole("button", { name: "Take away rule 1" }).click();
  await page.getByRole("button", { name: "Try it on the last day" }).click();
  const all = dialog.getByText("This would refuse all that the agent did");
  await all.waitFor();
  await dialog.getByRole("button", { name: "Save all the same" }).click();
  // What says so is a dialog to assistive technology, too, and may be there before this one has gone.
  await page.getByText("Saved what coder may do").waitFor();
  await all.waitFor({ state: "detached" });
  await eventually(async () => (await post(service, token)).status === 200);
  const files = await get(service, token, "/openai/v1/files");
  assert.equal(files.headers.get("x3sproxy-refusal"), "path_not_allowed");
  await page.reload();
  assert.equal(await rule(1).inputValue(), "POST /openai/v1/responses");
  assert.deepEqual(owner.complaints, []);
});

test("all parts of a scope are set in one form, by the keyboard, too", async (t) => {
  const { service, owner, setupUrl } = await openDashboard(t);
  const { page } = owner;
  await page.goto(new URL("/agents/coder/scope", setupUrl).href);
  const part = (title: string) => page.getByRole("group", { name: title, exact: true });
  const focused = () => page.evaluate<string>("document.activeElement.ariaLabel");
  const second = page.getByLabel("Rule 2", { exact: true });
  await second.focus();
  await page.keyboard.press("Enter");
  await eventually(async () => (await focused()) === "Rule 3");
  await page.keyboard.insertText("POST /openai/v1/responses");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await eventually(async () => (await focused()) === "Rule 2");
  assert.equal(await page.getByLabel("Rule 3", { exact: true }).count(), 0);
  await page.evaluate('navigator.clipboard.writeText("GET /a/1\\n\\n GET /b/2 \\nGET /c/3")');
  await page.keyboard.press("Enter");
  await eventually(async () => (await focused()) === "Rule 3");
  await page.keyboard.press("Control+V");
  await eventually(async () => (await focused()) === "Rule 5");
  assert.equal(await page.getByLabel("Rule 4", { exact: true }).inputValue(), "GET /b/2");

  await part("Providers").getByLabel("Only these").check();
  await page.getByLabel("OpenAI", { exact: true }).check();
  await page.getByRole("button", { name: "Chat only" }).click();
  await page.getByText(/^Chat only: \d+ rules, those of its providers/).waitFor();
  await part("Models").getByLabel("Only these").check();
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.getByText("Give at least one, or choose “Not limited”").waitFor();
  await page.getByLabel("Model 1", { exact: true }).fill("gpt-*");
  await part("Source addresses").getByLabel("Only these").check();
  await page.getByLabel("Address 1", { exact: true }).fill("127.0.0.1");
  await part("Sensitive endpoints").getByLabel("Only these").check();
  await page.getByRole("group", { name: "It may also call" }).getByRole("checkbox").first().check();
  await part("End").getByLabel("At a time").check();
  await page.getByLabel("Ends", { exact: true }).fill("2099-01-01T12:00");
  await page.getByLabel("Requests a minute").fill("120");
  await page.getByLabel("Bytes a minute").fill("5000000");
  await page.getByText("5.0 MB a minute.").waitFor();
  await assertGood(owner);
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.getByText("Saved what coder may do").waitFor();
  const shown = await send(service, "GET", "/agents/coder", undefined);
  const agent = shown["agent"] as Record<string, unknown>;
  const { rules, allowedEndpoints, scopeExpiresAt } = agent;
  assert.deepEqual(agent["providers"], ["openai"]);
  assert.ok((rules as string[]).every((rule) => rule.includes(" /openai/")));
  assert.deepEqual(agent["models"], ["gpt-*"]);
  assert.deepEqual(agent["addresses"], ["127.0.0.1/32"]);
  assert.equal((allowedEndpoints as string[]).length, 1);
  assert.match(String(scopeExpiresAt), /^2099-01-01T/);
  assert.deepEqual(agent["limits"], {
    ...{ requestsPerMinute: 120, openStreams: null, bytesPerMinute: 5_000_000 },
  });

  await service.cliJson(["agent", "scope", "coder", "--model", "gpt-5*"]);
  await eventually(async () => {
    // Whoever comes back to the page sees what has changed meanwhile.
    await page.evaluate("window.dispatchEvent(new Event('visibilitychange'))");
    return page.getByText("Somebody else has changed this scope").isVisible();
  }, 45_000);
  await page.getByRole("button", { name: "Show theirs" }).click();
  assert.equal(await page.getByLabel("Model 1", { exact: true }).inputValue(), "gpt-5*");
  assert.deepEqual(owner.complaints, []);
});

test("an operator redeploys with the scope as it is, and reads it", async (t) => {
  const { service, browser, owner } = await openDashboard(t);
  await owner.page.getByRole("link", { name: "Users" }).click();
  await owner.page.getByRole("button", { name: "Invite somebody" }).click();
  await owner.page.getByLabel("E-mail").fill("operator@example.test");
  await owner.page.getByLabel("Role", { exact: true }).selectOption("operator");
  await owner.page.getByRole("button", { name: "Make the link" }).click();
  const operator = await browser.open(await owner.page.getByTestId("copy-text").innerText());
  const { page } = operator;
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Join" }).click();
  await page.getByRole("link", { name: "Not now" }).click();
  await page.getByRole("link", { name: "Agents", exact: true }).click();
  await page.getByRole("button", { name: "Redeploy coder" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByText("admins can change it").waitFor();
  await dialog.getByText("2 rules").waitFor();
  assert.equal(await dialog.getByRole("group", { name: "Providers" }).count(), 0);
  await assertGood(operator);
  await dialog.getByRole("button", { name: "Redeploy", exact: true }).click();
  await page.getByRole("heading", { name: "coder is deployed" }).waitFor();
  const token = await page.getByTestId("copy-text").innerText();
  assert.equal(await refusalOf(service, token), "path_not_allowed");
  await page.getByRole("button", { name: "I have it" }).click();
  await page.getByRole("link", { name: "Scope of coder: 2 rules" }).click();
  await page.getByText("GET /openai/v1/files", { exact: true }).waitFor();
  await page.getByText("Admins can change it.").waitFor();
  assert.equal(await page.getByRole("textbox").count(), 0);
  await assertGood(operator);
  assert.deepEqual([...owner.complaints, ...operator.complaints], []);
});
