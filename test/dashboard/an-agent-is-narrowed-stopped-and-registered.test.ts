// What an agent may do, in the dashboard of the real service: from a refusal's link to a scope that was tried on the last day, the
// kill switch of one agent and of all, registrations. Real calls and an open stream show that it holds.
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import type { Page } from "playwright-core";
import { openBrowser, type WatchedPage } from "../support/browser.ts";
import { eventually } from "../support/eventually.ts";
import { createHttpUpstream } from "../support/http-upstream.ts";
import { runService, type RunningService } from "../support/service.ts";
import { send } from "./workspace.ts";

const KEY = "sk-proj-FAKE-key-of-a-narrowed-agent-000000001111";
const PASSWORD = "a FAKE passphrase of somebody, 7Kd";
const RULES = ["GET /openai/v1/models", "GET /openai/v1/files"];
const RECORDED_WITHIN_MS = 60_000;
const SHAPES = [
  { width: 1280, colorScheme: "light" },
  { width: 360, colorScheme: "dark" },
] as const;

test("a refusal's link leads to a scope, and a scope to what it refuses", async (t) => {
  const { service, owner, token } = await open(t);
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
  const { service, owner, setupUrl } = await open(t);
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

test("a suspension cuts what is open; resumed, it goes on", async (t) => {
  const { service, owner } = await open(t, "POST /openai/v1/responses");
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
  const { service, owner, token, setupUrl } = await open(t);
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

test("an operator redeploys with the scope as it is, and reads it", async (t) => {
  const { service, browser, owner } = await open(t);
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

/** A service with an owner who is signed in, and the agent `coder`, which may do what `rules` say. */
async function open(t: TestContext, ...rules: string[]) {
  const upstream = await createHttpUpstream((request, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    // One answer after the first event: until it is cut, or as soon as it is asked for nothing more.
    if (request.headers["x-stay"] === undefined) response.end("data: {}\n\n");
    else response.write("data: {}\n\n");
  });
  t.after(() => upstream.close());
  const service = await runService({
    env: {
      X3SPROXY_ORIGIN_OPENAI: upstream.origin,
      X3SPROXY_ALLOW_PRIVATE_UPSTREAMS: "127.0.0.0/8",
    },
  });
  t.after(() => service.remove());
  await service.setSecret("openai", KEY);
  const options = (rules.length === 0 ? RULES : rules).flatMap((rule) => ["--rule", rule]);
  const token = await service.deploy("coder", ...options);
  const browser = await openBrowser(t);
  const setupUrl = /http:\S+\/setup#token=\w+/.exec(service.output.stderr)?.[0];
  assert.ok(setupUrl !== undefined, service.output.stderr);
  const owner = await browser.open(setupUrl);
  await setUp(owner.page);
  return { service, browser, owner, token, setupUrl };
}

async function setUp(page: Page): Promise<void> {
  await page.getByLabel("E-mail").fill("owner@example.test");
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Make the user" }).click();
  await page.getByRole("link", { name: "Not now" }).click();
  await page.getByRole("heading", { name: "Overview" }).waitFor();
}

/** The page and whatever is open on it, wide in light, narrow in dark. */
async function assertGood({ page, assertAccessible, assertFits }: WatchedPage): Promise<void> {
  for (const { width, colorScheme } of SHAPES) {
    await page.setViewportSize({ width, height: 800 });
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    await page.evaluate(
      "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))",
    );
    await assertAccessible();
    await assertFits();
  }
  await page.setViewportSize({ width: 1280, height: 800 });
}

function get({ proxyUrl }: RunningService, token: string, path: string): Promise<Response> {
  return fetch(proxyUrl + path, { headers: { authorization: `Bearer ${token}` } });
}

function post(
  { proxyUrl }: RunningService,
  token: string,
  headers: Record<string, string> = {},
): Promise<Response> {
  return fetch(`${proxyUrl}/openai/v1/responses`, {
    method: "POST",
    headers: {
      ...{ authorization: `Bearer ${token}`, "content-type": "application/json" },
      ...headers,
    },
    body: JSON.stringify({ model: "gpt-5", stream: true, input: "Go on" }),
  });
}

async function refusalOf(service: RunningService, token: string): Promise<string | null> {
  const answer = await post(service, token);
  await answer.text();
  return answer.headers.get("x3sproxy-refusal");
}

/** A stream whose first event has come. `end` settles when it ends: rejects when it is cut. */
async function openStream(service: RunningService, token: string): Promise<{ end: Promise<void> }> {
  const answer = await post(service, token, { "x-stay": "1" });
  const reader = answer.body?.getReader();
  assert.ok(reader !== undefined && answer.ok);
  assert.equal((await reader.read()).done, false);
  const readOn = async () => {
    while (!(await reader.read()).done);
  };
  const end = readOn();
  end.catch(() => undefined);
  return { end };
}
