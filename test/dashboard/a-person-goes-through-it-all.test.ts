// The whole product through its dashboard, as a person uses it: the real service, real Chromium, a look-alike provider.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { test, type TestContext } from "node:test";
import type { Page } from "playwright-core";
import { createLookAlike } from "../../demo/look-alike/look-alike.ts";
import { openBrowser, type WatchedPage } from "../support/browser.ts";
import { eventually } from "../support/eventually.ts";
import { runService } from "../support/service.ts";

const FIRST_KEY = "sk-proj-FAKE-first-key-of-the-dashboard-1111";
const SECOND_KEY = "sk-proj-FAKE-second-key-of-the-dashboard-2222";
const OWNER = { email: "owner@example.test", password: "a FAKE passphrase of the owner, 7Kd" };
const VIEWER = { email: "viewer@example.test", password: "a FAKE passphrase of a viewer, 4Hp" };
const AGENT = "dashboard-agent";

const PAGES = [
  "Overview",
  "Secrets",
  "Agents",
  "Activity",
  "Audit",
  "Users",
  "API keys",
  "Settings",
] as const;

test("from the first user to the last sign-out", { timeout: 300_000 }, async (t) => {
  const { lookAlike, service, browser, setupUrl } = await open(t);
  const watched = await browser.open(setupUrl);
  const { page } = watched;

  const recoveryCode = await becomeOwner(watched);
  await addKey(page, FIRST_KEY);
  await page.getByText("openai/production: the key works").waitFor();
  const token = await deploy(watched);
  assert.match(await stream(service.proxyUrl, token), /…1111/);

  await rotate(page, SECOND_KEY);
  lookAlike.setKeys("openai", [SECOND_KEY]);
  await eventually(async () => /…2222/.test(await stream(service.proxyUrl, token)));
  await page.getByRole("link", { name: "OpenAI" }).click();
  const inUse = page.getByRole("row", { name: /^2 active/ }).getByText(AGENT);
  await eventually(async () => {
    await page.reload();
    await page.getByRole("row", { name: /^2 active/ }).waitFor();
    return (await inUse.count()) > 0;
  }, 30_000);

  for (const name of PAGES) {
    await page.getByRole("link", { name, exact: true }).click();
    await page.getByRole("heading", { level: 1 }).waitFor();
    await assertAccessibleInBothThemes(watched);
  }

  const invitation = await invite(page);
  const viewer = await browser.open(invitation);
  await lookAsViewer(viewer);

  await destroy(watched);
  const refused = await call(service.proxyUrl, token);
  assert.equal(refused.status, 401);

  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  await signInAgain(watched, `${service.adminUrl}/agents`, recoveryCode);
  assert.deepEqual([...watched.complaints, ...viewer.complaints], []);
});

async function open(t: TestContext) {
  const lookAlike = createLookAlike({ keys: { openai: [FIRST_KEY] } });
  const origin = await lookAlike.listen();
  t.after(() => lookAlike.close());
  const service = await runService({
    env: { X3SPROXY_ORIGIN_OPENAI: origin, X3SPROXY_ALLOW_PRIVATE_UPSTREAMS: "127.0.0.0/8" },
  });
  t.after(() => service.remove());
  const browser = await openBrowser(t);
  const setupUrl = /http:\S+\/setup#token=\w+/.exec(service.output.stderr)?.[0];
  assert.ok(setupUrl !== undefined, service.output.stderr);
  return { lookAlike, service, browser, setupUrl };
}

/** The first user, with a second factor; gives one of the recovery codes. */
async function becomeOwner({ page, assertAccessible }: WatchedPage): Promise<string> {
  await page.getByLabel("E-mail").fill(OWNER.email);
  await page.getByLabel("Password").fill(OWNER.password);
  await assertAccessible();
  await page.getByRole("button", { name: "Make the user" }).click();
  await page.getByRole("heading", { name: "Set up a second factor" }).waitFor();
  await assertAccessible();
  const seed = (await page.getByTestId("seed").innerText()).replaceAll(" ", "");
  await page.getByLabel("The code that the app shows now").fill(totp(seed, Date.now()));
  await page.getByRole("button", { name: "Turn it on" }).click();
  await page.getByRole("heading", { name: "Keep your recovery codes" }).waitFor();
  await assertAccessible();
  const codes = (await page.getByLabel("recovery codes", { exact: true }).innerText()).split(/\s+/);
  assert.equal(codes.length, 10);
  await page.getByRole("button", { name: "I have kept them" }).click();
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  return codes[0] ?? "";
}

async function addKey(page: Page, key: string): Promise<void> {
  await page.getByRole("link", { name: "Secrets" }).click();
  await page.getByRole("button", { name: "Add a key" }).click();
  await page.getByLabel("Provider", { exact: true }).selectOption("openai");
  await page.getByLabel("Key", { exact: true }).fill(key);
  await page.getByRole("button", { name: "Save" }).click();
}

async function rotate(page: Page, key: string): Promise<void> {
  await page.getByRole("link", { name: "Secrets", exact: true }).click();
  await page.getByRole("button", { name: "Rotate openai in production" }).click();
  await page.getByLabel("New value").fill(key);
  await page.getByLabel(/Test it with a free call/).uncheck();
  await page.getByRole("button", { name: "Rotate", exact: true }).click();
  await page.getByText("openai/production: version 2 is active").waitFor();
  await page.getByRole("button", { name: "Done" }).click();
}

/** Gives the token that is shown once. */
async function deploy({ page, assertAccessible }: WatchedPage): Promise<string> {
  await page.getByRole("link", { name: "Agents" }).click();
  await page.getByRole("button", { name: "Deploy an agent" }).click();
  await page.getByLabel("Name").fill(AGENT);
  await page.getByRole("button", { name: "Deploy", exact: true }).click();
  await page.getByRole("heading", { name: `${AGENT} is deployed` }).waitFor();
  await assertAccessible();
  const token = await page.getByTestId("copy-text").innerText();
  assert.match(token, /^x3sproxy_[A-Za-z0-9]{32}$/);
  await page.getByRole("button", { name: "Copy token" }).click();
  assert.equal(await page.evaluate<string>("navigator.clipboard.readText()"), token);
  for (const tab of ["Docker", "Compose", "Kubernetes", "Codex", "Python", "JavaScript"]) {
    await page.getByRole("tab", { name: tab }).click();
    assert.ok((await page.getByRole("tabpanel", { name: tab }).innerText()).includes(token), tab);
  }
  await page.keyboard.press("Escape"); // It is shown once: a slip of the hand does not close it.
  await page.getByRole("button", { name: "I have it" }).click();
  await page.getByRole("heading", { name: `${AGENT} is deployed` }).waitFor({ state: "detached" });
  assert.ok(!(await page.content()).includes(token), "the token is gone with the dialog");
  return token;
}

async function invite(page: Page): Promise<string> {
  await page.getByRole("link", { name: "Users" }).click();
  await page.getByRole("button", { name: "Invite somebody" }).click();
  await page.getByLabel("E-mail").fill(VIEWER.email);
  await page.getByRole("button", { name: "Make the link" }).click();
  const link = await page.getByTestId("copy-text").innerText();
  await page.getByRole("button", { name: "I have it" }).click();
  return link;
}

/** A viewer sees, is shown no way to change anything, and is refused one that they find by themselves. */
async function lookAsViewer({ page, assertAccessible }: WatchedPage): Promise<void> {
  await page.getByText(VIEWER.email).waitFor();
  await assertAccessible();
  await page.getByLabel("Password").fill(VIEWER.password);
  await page.getByRole("button", { name: "Join" }).click();
  await page.getByRole("link", { name: "Not now" }).click();
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  const navigation = await page.getByRole("navigation", { name: "Main" }).innerText();
  assert.deepEqual(navigation.split(/\n+/), [
    "Overview",
    "Secrets",
    "Agents",
    "Activity",
    "Settings",
  ]);
  await page.getByRole("link", { name: "Secrets" }).click();
  await page.getByText("OpenAI").waitFor();
  assert.equal(await page.getByRole("button", { name: /Add|Rotate|Test|Delete/ }).count(), 0);
  const answer = await page.evaluate<{ status: number; code: string }>(`(async () => {
    const secret = localStorage.getItem("x3sproxy-session");
    const response = await fetch("/api/v1/secrets", {
      method: "PUT",
      headers: { "content-type": "application/json", "x3sproxy-session": secret },
      body: JSON.stringify({ provider: "openai", value: "sk-FAKE" }),
    });
    return { status: response.status, code: (await response.json()).code };
  })()`);
  assert.deepEqual(answer, { status: 403, code: "role_too_low" });
}

async function destroy({ page, assertAccessible }: WatchedPage): Promise<void> {
  await page.getByRole("link", { name: "Agents", exact: true }).click();
  await page.getByRole("button", { name: `Destroy … ${AGENT}` }).click();
  await page.getByText(/It was last used/).waitFor();
  await assertAccessible();
  const name = page.getByLabel(`Type ${AGENT} to go on`);
  await name.fill("dashboard");
  await page.getByRole("button", { name: "Destroy the agent" }).click();
  await page.getByText(`This is not ${AGENT}.`).waitFor();
  await name.fill(AGENT);
  await page.getByRole("button", { name: "Destroy the agent" }).click();
  await page.getByText("No agents yet").waitFor();
}

/** Goes to a page without a session, and gets there after password and recovery code. */
async function signInAgain({ page }: WatchedPage, wanted: string, code: string): Promise<void> {
  await page.goto(wanted);
  await page.getByLabel("E-mail").fill(OWNER.email);
  await page.getByLabel("Password").fill("not the password at all");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("alert").getByText(/./).waitFor();
  await page.getByLabel("Password").fill(OWNER.password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByLabel("Code").fill(code);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { name: "Agents" }).waitFor();
  assert.equal(page.url(), wanted);
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
}

/** Loaded anew in each theme, whole, with its data. */
async function assertAccessibleInBothThemes({
  page,
  assertAccessible,
}: WatchedPage): Promise<void> {
  for (const theme of ["dark", "light"]) {
    await page.evaluate(`localStorage.setItem("x3sproxy-theme", "${theme}")`);
    await page.reload({ waitUntil: "networkidle" });
    await page.getByRole("heading", { level: 1 }).waitFor();
    await assertAccessible();
  }
}

function call(proxyUrl: string, token: string): Promise<Response> {
  return fetch(`${proxyUrl}/openai/v1/chat/completions`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify({
      model: "look-alike",
      stream: true,
      messages: [{ role: "user", content: "Which key was I called with?" }],
    }),
  });
}

/** What a streamed answer says; empty when the call was refused. */
async function stream(proxyUrl: string, token: string): Promise<string> {
  const response = await call(proxyUrl, token);
  const text = await response.text();
  if (!response.ok) return "";
  const pieces = [...text.matchAll(/^data: (\{.*\})$/gm)].map(
    ([, json = "{}"]) =>
      (JSON.parse(json) as { choices: { delta: { content?: string } }[] }).choices[0]?.delta
        .content ?? "",
  );
  assert.ok(pieces.length > 1, "the answer came in one piece");
  return pieces.join("");
}

/** RFC 6238 with SHA-1, 6 digits, 30 s. `seed` in base32. */
function totp(seed: string, atMs: number): string {
  const bits = Array.from(seed).map((letter) =>
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(letter).toString(2).padStart(5, "0"),
  );
  const key = Buffer.from(
    (bits.join("").match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2)),
  );
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(atMs / 30_000)));
  const digest = createHmac("sha1", key).update(counter).digest();
  const offset = (digest.at(-1) ?? 0) & 15;
  return String((digest.readUInt32BE(offset) & 0x7fffffff) % 1_000_000).padStart(6, "0");
}
