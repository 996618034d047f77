// Every page behind sign-in while the database is away: it says so, is as accessible as ever, and heals.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Page } from "playwright-core";
import { PATHS } from "../../src/dashboard/paths.ts";
import { assertGoodInBothThemes, INSIDE, nextFrame, openInside, untilLoaded } from "./inside.ts";

test("every page says so while the database is away, until it is back", async (t) => {
  const { watched, at, fill, gate } = await openInside(t);
  const pathOf = await fill();
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
  assert.deepEqual(watched.complaints, []);
});

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
