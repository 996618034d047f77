import assert from "node:assert/strict";
import { it } from "node:test";
import { openAdmin } from "../admin/fixture.ts";
import { openBrowser } from "../support/browser.ts";
import { eventually } from "../support/eventually.ts";

const SHAPES = [
  { width: 1280, colorScheme: "light" },
  { width: 1280, colorScheme: "dark" },
  { width: 390, colorScheme: "light" },
  { width: 390, colorScheme: "dark" },
] as const;

it("they pass axe, scroll only down, and break no rule of the policy; wide, narrow, light, dark", async (t) => {
  const { url } = await openAdmin(t);
  const browser = await openBrowser(t);
  for (const shape of SHAPES) {
    const { page, complaints, assertAccessible } = await browser.open(`${url}/sign-in`, shape);
    for (const [path, heading] of [
      ["/sign-in", "Sign in"],
      ["/setup", "Make the first user"],
      ["/invitation", "Accept the invitation"],
      ["/reset", "Choose a new password"],
    ] as const) {
      await page.goto(url + path);
      await page.getByRole("heading", { level: 1, name: heading }).waitFor();
      assert.equal(await page.title(), `${heading} · x3sproxy`);
      await assertAccessible();
      const beyond = await page.evaluate<number>(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth",
      );
      assert.ok(beyond <= 0, `${path} scrolls sideways`);
      assert.deepEqual(complaints, [], path);
    }
  }
});

it("the keyboard goes through the form in its order, and each field has its name", async (t) => {
  const { url } = await openAdmin(t);
  const { page } = await (await openBrowser(t)).open(`${url}/sign-in`);
  const focused = () =>
    page.evaluate<string>(
      "document.activeElement.labels?.[0]?.textContent ?? document.activeElement.textContent",
    );
  await page.getByLabel("E-mail").waitFor();
  assert.equal(await focused(), "E-mail");
  await page.keyboard.press("Tab");
  assert.equal(await focused(), "Password");
  await page.keyboard.press("Tab");
  assert.equal(await focused(), "Sign in");
});

it("the chosen theme is kept, and nothing else is", async (t) => {
  const { url } = await openAdmin(t);
  const { page } = await (await openBrowser(t)).open(`${url}/sign-in`);
  const theme = () =>
    page.evaluate<string>("getComputedStyle(document.documentElement).colorScheme");
  assert.equal(await theme(), "light dark");
  await page.getByRole("button", { name: /^Theme: system/ }).click();
  await page.getByRole("button", { name: /^Theme: light/ }).click();
  await page.reload();
  await page.getByRole("button", { name: /^Theme: dark/ }).waitFor();
  assert.equal(await theme(), "dark");
  const kept = await page.evaluate<[string, string][]>("Object.entries(localStorage)");
  assert.deepEqual(kept, [["x3sproxy-theme", "dark"]]);
});

it("a link's token leaves the address bar at once", async (t) => {
  const { url } = await openAdmin(t);
  const { page } = await (await openBrowser(t)).open(`${url}/invitation#token=x3slink_FAKE`);
  await page.getByRole("heading", { level: 1 }).waitFor();
  assert.equal(page.url(), `${url}/invitation`);
  assert.equal(await page.evaluate<string>("location.hash"), "");
});

it("nobody is asked for a password over plain http from another machine", async (t) => {
  const { port } = await openAdmin(t, { dashboardUrl: "http://x3s.test" });
  const browser = await openBrowser(t, { localName: "x3s.test" });
  const away = await browser.open(`http://x3s.test:${port}/sign-in`);
  await away.page.getByRole("heading", { name: "Sign in over https" }).waitFor();
  assert.equal(await away.page.locator("input").count(), 0);
  await away.assertAccessible();
  const { page } = await browser.open(`http://127.0.0.1:${port}/sign-in`);
  await page.getByLabel("Password").waitFor();
});

it("what the policy blocks is noticed here", async (t) => {
  const { url } = await openAdmin(t);
  const { page, complaints } = await (await openBrowser(t)).open(`${url}/sign-in`);
  await page.evaluate("document.head.append(document.createElement('style'))");
  await page.evaluate("document.head.lastChild.textContent = 'a { color: red }'");
  await eventually(() => complaints.length > 0);
  assert.match(complaints.join(), /Content Security Policy/);
});
