// Every page behind sign-in, as an owner sees it: empty, full, and while the database is away. The real service, on a
// database behind a gate; real Chromium.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Page } from "playwright-core";
import { PATHS } from "../../src/dashboard/paths.ts";
import { openBrowser, type WatchedPage } from "../support/browser.ts";
import { createTestDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { runService } from "../support/service.ts";
import { createTcpGate } from "../support/tcp-gate.ts";
import { fillWorkspace, OWNER, send } from "./workspace.ts";

const OUTSIDE: readonly string[] = [PATHS.signIn, PATHS.setup, PATHS.invitation, PATHS.reset];
const INSIDE = Object.values(PATHS).filter((path) => !OUTSIDE.includes(path));
const MOST_SHIFT = 0.1;

test("every page inside", { timeout: 240_000 }, async (t) => {
  const database = await createTestDatabase();
  t.after(() => database.drop());
  const gate = await createTcpGate(database.ownerUrl);
  t.after(() => gate.close());
  const service = await runService({
    database: { ownerUrl: gate.url, masterKey: database.masterKey },
  });
  t.after(() => service.remove());
  const place = { ...service, ownerUrl: database.ownerUrl };
  const browser = await openBrowser(t);
  const watched = await browser.open(`${service.adminUrl}/sign-in`);
  await becomeOwner(watched.page, service.output.stderr);
  const at = (path: string) => service.adminUrl + path;
  const assertGoodPages = async (pathOf: (path: string) => string, widths: readonly number[]) => {
    const faults: string[] = [];
    for (const width of widths) {
      for (const path of INSIDE) {
        await assertGoodPage(watched, at(pathOf(path)), width).catch((error: unknown) =>
          faults.push(`${path} at ${width}: ${String(error)}`),
        );
      }
    }
    assert.deepEqual(faults, []);
  };

  await t.test("is accessible, fits and keeps still while there is nothing yet", async () => {
    await assertGoodPages((path) => path.replace(/:\w+/, "nothing"), [360]);
  });

  const names = await fillWorkspace(place);
  const pathOf = (path: string) => path.replace(":id", names.id).replace(":name", names.name);

  await t.test("and with much on it", async () => {
    await assertGoodPages(pathOf, [1280, 360]);
  });

  await t.test("and says so while the database is away, until it is back", async () => {
    const paths = INSIDE.filter((path) => path !== PATHS.enrolment).map(pathOf);
    const tabs = await Promise.all(paths.map(() => watched.openTab(at(PATHS.enrolment))));
    for (const { page } of tabs) await page.getByRole("heading", { level: 1 }).waitFor();
    await gate.set("refuse");
    await Promise.all(tabs.map(({ page }, index) => goThere(page, at(paths[index] ?? ""))));
    const lost = await watched.openTab(at("/agents"));
    for (const tab of [lost, ...tabs]) {
      await tab.page.bringToFront();
      await tab.page.getByText("This could not be loaded").first().waitFor();
      await assertGoodInBothThemes(tab, 360);
    }
    await gate.set("open");
    for (const { page, complaints } of [lost, ...tabs]) {
      await page.bringToFront();
      await tryAgain(page);
      assert.equal(await page.getByText("could not be").count(), 0, page.url());
      assert.deepEqual(complaints, [], page.url());
    }
  });
  assert.deepEqual(watched.complaints, []);
});

async function becomeOwner(page: Page, output: string): Promise<void> {
  const [, adminUrl = "", token = ""] = /(http:\S+)\/setup#token=(\w+)/.exec(output) ?? [];
  await send({ adminUrl, apiKey: "" }, "POST", "/setup", { token, ...OWNER });
  await page.getByLabel("E-mail").fill(OWNER.email);
  await page.getByLabel("Password").fill(OWNER.password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { name: "Overview" }).waitFor();
}

/** Loads it, looks at it while it waits for the API, then with what came, in both themes. */
async function assertGoodPage(watched: WatchedPage, url: string, width: number): Promise<void> {
  const { page, complaints, assertFits, layoutShift } = watched;
  await page.setViewportSize({ width, height: 800 });
  const release = await holdApi(page);
  await page.goto(url);
  await page.getByRole("heading", { level: 1 }).waitFor();
  await assertFits();
  await nextFrame(page);
  await release();
  await untilLoaded(page);
  const shift = await layoutShift();
  assert.ok(shift < MOST_SHIFT, `${url} at ${width} px moves by ${shift}`);
  await assertGoodInBothThemes(watched, width);
  assert.deepEqual(complaints, [], url);
}

async function assertGoodInBothThemes(
  { page, assertAccessible, assertFits }: WatchedPage,
  width: number,
): Promise<void> {
  await page.setViewportSize({ width, height: 800 });
  await assertFits();
  await page.emulateMedia({ colorScheme: "light" });
  await assertAccessible();
  await page.emulateMedia({ colorScheme: "dark" });
  await assertAccessible(["color-contrast"]); // nothing else depends on the theme
}

/** Lets only the question who is signed in through, until released: the page is painted as it is without data. */
async function holdApi(page: Page): Promise<() => Promise<void>> {
  let release = (): void => undefined;
  const released = new Promise<void>((resolve) => (release = resolve));
  const pattern = /\/api\/v1\/(?!me$)/;
  await page.route(pattern, async (route) => {
    await released;
    await route.continue();
  });
  return async () => {
    release();
    await page.unrouteAll({ behavior: "wait" });
  };
}

async function nextFrame(page: Page): Promise<void> {
  await page.evaluate(
    "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))",
  );
}

async function untilLoaded(page: Page): Promise<void> {
  await eventually(() =>
    page.evaluate<boolean>(
      `document.querySelector("h1") !== null &&
        document.querySelector(".skeleton, [aria-busy=true]") === null`,
    ),
  );
}

/** Wherever it is offered, until all is there. What is below a list that loads is out of sight meanwhile. */
async function tryAgain(page: Page): Promise<void> {
  const button = page.getByRole("button", { name: "Try again" }).first();
  while (await button.isVisible()) {
    await button.click();
    await nextFrame(page);
    await untilLoaded(page);
  }
}

/** Goes to another page of the dashboard by the browser's own way, without loading it anew. */
async function goThere(page: Page, url: string): Promise<void> {
  await page.evaluate(
    `history.pushState(null, "", "${url}"); history.pushState(null, "", "/enrolment")`,
  );
  await page.goBack();
}
