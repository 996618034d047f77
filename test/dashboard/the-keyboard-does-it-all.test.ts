// From sign-in to an agent's token with the keyboard alone: each thing is reached in its order, and shows that it is.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Page } from "playwright-core";
import { OWNER_EMAIL, PASSWORD, openPeople } from "../admin/people.ts";
import { openBrowser } from "../support/browser.ts";
import { eventually } from "../support/eventually.ts";

const MOST_STEPS = 40;

test("from sign-in to a copied token", { timeout: 90_000 }, async (t) => {
  const { url } = await openPeople(t, { dashboardUrl: "http://localhost:8788" });
  const { page, complaints } = await (await openBrowser(t)).open(`${url}/sign-in`);
  const { keyboard } = page;
  await untilFocused(page, "E-mail");
  await keyboard.type(OWNER_EMAIL);
  await stepTo(page, "Password");
  await keyboard.type(PASSWORD);
  await keyboard.press("Enter");
  await untilFocused(page, "Overview");

  assert.deepEqual(await stepTo(page, "Secrets", "Shift+Tab"), [
    ...["Theme: system. Change to light", "Sign out", "Settings", "API keys", "Users", "Audit"],
    ...["Activity", "Agents", "Secrets"],
  ]);
  await keyboard.press("Enter");
  await untilFocused(page, "Secrets", "H1");
  await addKey(page);

  await stepTo(page, "Agents", "Shift+Tab");
  await keyboard.press("Enter");
  await untilFocused(page, "Agents", "H1");
  await deploy(page);
  assert.deepEqual(complaints, []);
});

async function addKey(page: Page): Promise<void> {
  const { keyboard } = page;
  assert.deepEqual(await stepTo(page, "Add a key"), ["Add a key"]);
  await keyboard.press("Enter");
  await untilFocused(page, "Provider");
  await keyboard.press("Escape");
  await untilFocused(page, "Add a key");
  await keyboard.press("Space");
  await untilFocused(page, "Provider");
  await keyboard.type("OpenAI");
  assert.deepEqual(await stepTo(page, "Key"), ["Environment", "Key"]);
  await keyboard.type("sk-proj-FAKE-typed-by-the-keyboard-1111");
  assert.deepEqual(await stepTo(page, /^Test it/), ["Label", /^Test it/]);
  await keyboard.press("Space");
  assert.deepEqual(await stepTo(page, "Save"), ["Cancel", "Save"]);
  assert.deepEqual(await stepTo(page, "Provider"), ["Close", "Provider"], "it stays in the dialog");
  assert.deepEqual(await stepTo(page, "Save", "Shift+Tab"), ["Close", "Save"]);
  await keyboard.press("Enter");
  await page.getByText("openai/production: version 1 is active").waitFor();
  await untilFocused(page, "Add a key");
}

async function deploy(page: Page): Promise<void> {
  const { keyboard } = page;
  assert.deepEqual(await stepTo(page, "Deploy an agent"), ["Deploy an agent"]);
  await keyboard.press("Enter");
  await untilFocused(page, "Name");
  await keyboard.type("typist");
  assert.deepEqual(await stepTo(page, "All of them"), [
    ...["Environment", "Its token lives", "All of them"],
  ]);
  await keyboard.press("ArrowRight");
  await untilFocused(page, "Only some");
  assert.equal((await stepTo(page, "OpenAI")).at(-1), "OpenAI");
  await keyboard.press("Space");
  assert.deepEqual((await stepTo(page, "Deploy")).slice(-2), ["Cancel", "Deploy"]);
  await keyboard.press("Space");
  const dialog = page.getByRole("dialog", { name: "typist is deployed" });
  await dialog.waitFor();

  await stepTo(page, "Copy token");
  await keyboard.press("Enter");
  const token = await page.getByTestId("copy-text").innerText();
  await eventually(async () => (await clipboard(page)) === token);
  assert.deepEqual(await stepTo(page, "Shell"), ["Shell"]);
  await keyboard.press("ArrowRight");
  await untilFocused(page, "Docker");
  await keyboard.press("Enter");
  await dialog.getByRole("tabpanel", { name: "Docker" }).waitFor();
  assert.deepEqual(await stepTo(page, "Copy snippet for Docker"), [
    ...["snippet for Docker", "Copy snippet for Docker"],
  ]);
  await keyboard.press("Escape");
  assert.deepEqual(await stepTo(page, "I have it"), ["I have it"], "Escape did not close it");
  await keyboard.press("Enter");
  await dialog.waitFor({ state: "detached" });
  await untilFocused(page, "Deploy an agent");
}

/** Presses the key until `name` has the focus; gives what had it on the way. Fails where that can't be seen. */
async function stepTo<N extends string | RegExp>(
  page: Page,
  name: N,
  key: "Tab" | "Shift+Tab" = "Tab",
): Promise<(string | N)[]> {
  const way: (string | N)[] = [];
  while (way.length < MOST_STEPS) {
    await page.keyboard.press(key);
    const focused = await eventually(() => focus(page));
    assert.ok(focused.shown, `the focus on ${focused.name} can't be seen`);
    const there = typeof name === "string" ? focused.name === name : name.test(focused.name);
    way.push(there ? name : focused.name);
    if (there) return way;
  }
  return assert.fail(`${String(name)} is not on the way: ${way.join(", ")}`);
}

async function untilFocused(page: Page, name: string, tag?: string): Promise<void> {
  await eventually(async () => {
    const focused = await focus(page);
    return focused?.name === name && (tag === undefined || focused.tag === tag);
  });
}

interface Focus {
  readonly name: string;
  readonly tag: string;
  /** There is an outline, on the thing or on what stands for it. */
  readonly shown: boolean;
}

/** Undefined while nothing has it, or the edge of a dialog, which passes it on. */
const focus = (page: Page) =>
  page.evaluate<Focus | undefined>(`(() => {
    const it = document.activeElement;
    if (it.matches("body, [data-base-ui-focus-guard]")) return undefined;
    const seen = it.matches(".segment input") ? it.nextElementSibling : it;
    const { outlineStyle, outlineWidth } = getComputedStyle(seen);
    return {
      name: (it.labels?.[0]?.innerText ?? it.ariaLabel ?? it.innerText).trim(),
      tag: it.tagName,
      shown: outlineStyle !== "none" && parseFloat(outlineWidth) > 0,
    };
  })()`);

const clipboard = (page: Page) => page.evaluate<string>("navigator.clipboard.readText()");
