// Workspaces and environments in the settings, on the real service: of the home's owner, of another's, and of an admin.
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import type { Page } from "playwright-core";
import { openBrowser, type WatchedPage } from "../support/browser.ts";
import { eventually } from "../support/eventually.ts";
import { runService, type RunningService } from "../support/service.ts";

const PASSWORD = "a FAKE passphrase of somebody, 7Kd";
const FIRST_KEY = "sk-proj-FAKE-key-of-an-environment-000000001111";
const SECOND_KEY = "sk-proj-FAKE-key-of-an-environment-000000002222";
/** After a change of theme: colours pass over into each other. */
const COLOURS_ARE_THERE = `new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))
  .then(() => Promise.allSettled(document.getAnimations().map((each) => each.finished)))
  .then(() => undefined)`;
const SHAPES = [
  { width: 1280, colorScheme: "light" },
  { width: 1280, colorScheme: "dark" },
  { width: 390, colorScheme: "light" },
  { width: 390, colorScheme: "dark" },
] as const;

async function open(t: TestContext) {
  const service = await runService();
  t.after(() => service.remove());
  const browser = await openBrowser(t);
  const setupUrl = /http:\S+\/setup#token=\w+/.exec(service.output.stderr)?.[0];
  assert.ok(setupUrl !== undefined, service.output.stderr);
  const home = await browser.open(setupUrl);
  await setUp(home.page, "home@example.test");
  return { service, browser, home };
}

async function setUp(page: Page, email: string): Promise<void> {
  await page.getByLabel("E-mail").fill(email);
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Make the user" }).click();
  await page.getByRole("link", { name: "Not now" }).click();
  await page.getByRole("heading", { name: "Overview" }).waitFor();
}

async function goTo(page: Page, subject: string): Promise<void> {
  await page.getByRole("link", { name: "Settings", exact: true }).click();
  await page.getByRole("link", { name: subject, exact: true }).click();
  await page.getByRole("heading", { level: 1, name: subject, exact: true }).waitFor();
}

/** The page and whatever is open on it, wide and narrow, light and dark. */
async function assertFits({ page, assertAccessible }: WatchedPage): Promise<void> {
  for (const { width, colorScheme } of SHAPES) {
    await page.setViewportSize({ width, height: 800 });
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    await page.evaluate(COLOURS_ARE_THERE);
    await assertAccessible();
    const beyond = await page.evaluate<number>(
      "document.documentElement.scrollWidth - document.documentElement.clientWidth",
    );
    assert.ok(beyond <= 0, `${page.url()} scrolls sideways at ${width}`);
  }
  await page.setViewportSize({ width: 1280, height: 800 });
}

/** Why the proxy refuses a token. */
async function refusal(service: RunningService, token: string): Promise<string | null> {
  const headers = { authorization: `Bearer ${token}` };
  const answer = await fetch(`${service.proxyUrl}/openai/v1/models`, { headers });
  await answer.text();
  return answer.headers.get("x3sproxy-refusal");
}

test("a workspace is made, given to its owner, used, and deleted by its name", async (t) => {
  const { service, browser, home } = await open(t);
  const { page } = home;
  await goTo(page, "Workspaces");
  await page.getByRole("row", { name: /default yours home/ }).waitFor();
  await page.getByRole("button", { name: "New workspace" }).click();
  await page.getByLabel("Name", { exact: true }).fill("research");
  await assertFits(home);
  await page.getByRole("button", { name: "Make it" }).click();
  await page.getByRole("heading", { name: "The setup link of research is ready" }).waitFor();
  await assertFits(home);
  const stale = await page.getByTestId("copy-text").innerText();
  await page.getByRole("button", { name: "Copy setup link" }).click();
  assert.equal(await page.evaluate<string>("navigator.clipboard.readText()"), stale);
  await page.keyboard.press("Escape"); // It is shown once: a slip of the hand does not close it.
  await page.getByRole("button", { name: "I have it" }).click();
  await page.getByRole("dialog").waitFor({ state: "detached" });
  await page.getByRole("row", { name: /research .* waiting/ }).waitFor();
  assert.ok(!(await page.content()).includes(stale), "the link is gone with the dialog");
  await assertFits(home);

  await page.getByRole("button", { name: "Renew link of research" }).click();
  await page.getByRole("button", { name: "Make the link" }).click();
  const link = await page.getByTestId("copy-text").innerText();
  assert.notEqual(link, stale);
  await page.getByRole("button", { name: "I have it" }).click();
  const late = await browser.open(stale);
  await late.page.getByText("This link is no longer good").waitFor();

  const other = await browser.open(link);
  await setUp(other.page, "research@example.test");
  await goTo(other.page, "Workspaces");
  await other.page.getByText("made by an owner of the installation’s home workspace").waitFor();
  const theirs = other.page.getByRole("table", { name: "Workspaces" });
  await theirs.getByRole("row", { name: /research yours/ }).waitFor();
  assert.equal(await theirs.getByRole("row").count(), 2);
  assert.ok(!(await other.page.content()).includes("default"));
  assert.equal(await other.page.getByRole("button", { name: /New|Renew|Delete/ }).count(), 0);
  await assertFits(other);
  await other.page.getByRole("link", { name: "Agents", exact: true }).click();
  await other.page.getByRole("button", { name: "Deploy an agent" }).click();
  await other.page.getByLabel("Name", { exact: true }).fill("theirs");
  await other.page.getByRole("button", { name: "Deploy", exact: true }).click();
  const token = await other.page.getByTestId("copy-text").innerText();
  assert.equal(await refusal(service, token), "no_secret");

  await page.reload();
  await page.getByRole("row", { name: /research 1 1 0 .* done/ }).waitFor();
  assert.equal(await page.getByRole("button", { name: /^Renew link/ }).count(), 0);
  assert.equal(await page.getByRole("button", { name: "Delete … default" }).count(), 0);
  await page.getByRole("button", { name: "Delete … research" }).click();
  await page.getByText("1 agent", { exact: true }).waitFor();
  await page.getByText("1 user", { exact: true }).waitFor();
  await assertFits(home);
  const name = page.getByLabel("Type research to go on");
  await name.fill("resarch");
  await page.getByRole("button", { name: "Delete the workspace" }).click();
  await page.getByText("This is not research.").waitFor();
  await name.fill("research");
  await page.getByRole("button", { name: "Delete the workspace" }).click();
  await page.getByText("Deleted research").waitFor();
  const deletedMs = performance.now();
  await eventually(async () => (await refusal(service, token)) === "unknown_token");
  assert.ok(performance.now() - deletedMs < 1000);
  await page.getByRole("row", { name: /^research/ }).waitFor({ state: "detached" });
  await other.page.reload();
  await other.page.getByRole("heading", { name: "Sign in" }).waitFor();
  assert.deepEqual([...home.complaints, ...other.complaints, ...late.complaints], []);
});

test("an environment is renamed, and joined with another only after a warning", async (t) => {
  const { service, browser, home } = await open(t);
  await service.setSecret("openai", FIRST_KEY, "--environment", "production");
  await service.setSecret("openai", SECOND_KEY, "--environment", "staging");
  await service.deploy("tester", "--environment", "staging");
  await home.page.getByRole("link", { name: "Users" }).click();
  await home.page.getByRole("button", { name: "Invite somebody" }).click();
  await home.page.getByLabel("E-mail").fill("admin@example.test");
  await home.page.getByLabel("Role", { exact: true }).selectOption("admin");
  await home.page.getByRole("button", { name: "Make the link" }).click();
  const admin = await browser.open(await home.page.getByTestId("copy-text").innerText());
  const { page } = admin;
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Join" }).click();
  await page.getByRole("link", { name: "Not now" }).click();

  await goTo(page, "Workspace");
  assert.equal(await page.getByRole("link", { name: "Workspaces" }).count(), 0);
  await page.getByText("Owners can change them.").waitFor();
  const table = page.getByRole("table", { name: "Environments" });
  await table.getByRole("row", { name: /^production 1 0/ }).waitFor();
  await table.getByRole("row", { name: /^staging 1 1/ }).waitFor();
  await assertFits(admin);
  await page.getByRole("button", { name: "Rename staging" }).click();
  const name = page.getByLabel("New name");
  await name.fill("production");
  await page.getByText(/The two become one/).waitFor();
  await assertFits(admin);
  await page.getByRole("button", { name: "Make them one" }).click();
  await page
    .getByRole("alert")
    .getByText(/has a key of the same provider/)
    .waitFor();
  await name.fill("test");
  await page.getByRole("button", { name: "Rename", exact: true }).click();
  await page.getByText("staging is now test").waitFor();
  await table.getByRole("row", { name: /^test 1 1/ }).waitFor();
  assert.equal(await table.getByRole("row").count(), 3);
  await page.getByRole("link", { name: "Agents", exact: true }).click();
  await page.getByRole("row", { name: /^tester .*test/ }).waitFor();
  assert.deepEqual([...home.complaints, ...admin.complaints], []);
});
