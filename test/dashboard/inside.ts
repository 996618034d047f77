// The pages behind sign-in, as an owner sees them: the real service, on a database behind a gate; real Chromium.
import type { TestContext } from "node:test";
import type { Page } from "playwright-core";
import { PATHS } from "../../src/dashboard/paths.ts";
import { openBrowser, type WatchedPage } from "../support/browser.ts";
import { createTestDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { runService } from "../support/service.ts";
import { createTcpGate } from "../support/tcp-gate.ts";
import { fillWorkspace, OWNER, send } from "./workspace.ts";

const OUTSIDE: readonly string[] = [PATHS.signIn, PATHS.setup, PATHS.invitation, PATHS.reset];
export const INSIDE = Object.values(PATHS).filter((path) => !OUTSIDE.includes(path));

/** An owner who is signed in. `fill` puts much on the pages, and gives where those of one agent and one secret are. */
export async function openInside(t: TestContext) {
  const database = await createTestDatabase();
  t.after(() => database.drop());
  const gate = await createTcpGate(database.ownerUrl);
  t.after(() => gate.close());
  const service = await runService({
    database: { ownerUrl: gate.url, masterKey: database.masterKey },
  });
  t.after(() => service.remove());
  const browser = await openBrowser(t);
  const watched = await browser.open(`${service.adminUrl}/sign-in`);
  await becomeOwner(watched.page, service.output.stderr);
  return {
    ...{ gate, watched },
    at: (path: string) => service.adminUrl + path,
    fill: async (): Promise<(path: string) => string> => {
      const names = await fillWorkspace({ ...service, ownerUrl: database.ownerUrl });
      return (path) => path.replace(":id", names.id).replace(":name", names.name);
    },
  };
}

/** Uses the set-up link that the service has printed, and signs in. */
export async function becomeOwner(page: Page, output: string): Promise<void> {
  const [, adminUrl = "", token = ""] = /(http:\S+)\/setup#token=(\w+)/.exec(output) ?? [];
  await send({ adminUrl, apiKey: "" }, "POST", "/setup", { token, ...OWNER });
  await page.getByLabel("E-mail").fill(OWNER.email);
  await page.getByLabel("Password").fill(OWNER.password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { name: "Overview" }).waitFor();
}

/** At this width: it fits, and axe finds nothing, in light and in dark. */
export async function assertGoodInBothThemes(
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

export async function nextFrame(page: Page): Promise<void> {
  await page.evaluate(
    "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))",
  );
}

export async function untilLoaded(page: Page): Promise<void> {
  await eventually(() =>
    page.evaluate<boolean>(
      `document.querySelector("h1") !== null &&
        document.querySelector(".skeleton, [aria-busy=true]") === null`,
    ),
  );
}
