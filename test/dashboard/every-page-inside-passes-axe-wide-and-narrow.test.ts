// Every page behind sign-in, as an owner sees it: empty, and full.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Page } from "playwright-core";
import type { WatchedPage } from "../support/browser.ts";
import { assertGoodInBothThemes, INSIDE, nextFrame, openInside, untilLoaded } from "./inside.ts";

const MOST_SHIFT = 0.1;

test("every page inside", { timeout: 240_000 }, async (t) => {
  const { watched, at, fill } = await openInside(t);
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

  const pathOf = await fill();
  await t.test("and with much on it", async () => {
    await assertGoodPages(pathOf, [1280, 360]);
  });
  assert.deepEqual(watched.complaints, []);
});

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
