// What people read is so: the time, the zone, that there is no network, that something would be lost, that a path leads nowhere.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Page } from "playwright-core";
import { PATHS } from "../../src/dashboard/paths.ts";
import { openBrowser } from "../support/browser.ts";
import { createTestDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { runService } from "../support/service.ts";
import { INSIDE, nextFrame } from "./inside.ts";
import { OWNER, send } from "./workspace.ts";

const AGENTS = ["a1", "a2", "a3", "a4", "a5"];
const ZONE = "America/New_York";
const BEHIND_MS = 3 * 60_000;

test("a page tells how things stand", { timeout: 240_000 }, async (t) => {
  const database = await createTestDatabase();
  t.after(() => database.drop());
  const service = await runService({ database });
  t.after(() => service.remove());
  const token = /\/setup#token=(\w+)/.exec(service.output.stderr)?.[1];
  await send({ ...service, apiKey: "" }, "POST", "/setup", { token, ...OWNER });
  for (const agent of AGENTS) {
    await send(service, "POST", `/agents/${agent}/deployments`, {});
    await send(service, "POST", `/agents/${agent}/suspend`, undefined);
  }
  const browser = await openBrowser(t, { scrollbars: true });
  const watched = await browser.open(`${service.adminUrl}/sign-in`, { zone: ZONE });
  const { page } = watched;
  const at = (path: string) => service.adminUrl + path;
  const dialog = page.getByRole("dialog");
  await signIn(page);

  await t.test("what was just done, by a clock that is minutes behind", async () => {
    const tab = await watched.openTab(at("/sign-in"));
    await tab.page.clock.setFixedTime(new Date(Date.now() - BEHIND_MS));
    await send(service, "PUT", "/secrets", { provider: "openai", value: "sk-proj-FAKE-key-0123" });
    await tab.page.goto(at("/secrets"));
    await tab.page
      .getByRole("row", { name: /OpenAI/ })
      .getByText("just now")
      .waitFor();
    assert.equal(await tab.page.getByText(/^in \d|in a moment/).count(), 0);
    await tab.page.close();
  });

  await t.test("a span in a link is the same in every zone, and the zone is named", async () => {
    await page.goto(at("/activity"));
    await page.getByText(`Times are in ${ZONE}.`).waitFor();
    await page.getByLabel("When").selectOption("chosen");
    const from = page.getByLabel(`From (${ZONE})`);
    const asked = page.waitForRequest((request) => request.url().includes("from=2026-07-01"));
    await from.fill("2026-07-01T09:30");
    const iso = "2026-07-01T13:30:00.000Z";
    assert.equal(new URL((await asked).url()).searchParams.get("from"), iso);
    assert.equal(new URL(page.url()).searchParams.get("from"), iso);
    await page.reload();
    assert.equal(await from.inputValue(), "2026-07-01T09:30");
    // A link from before holds local time.
    await page.goto(at("/activity?span=chosen&from=2026-07-01T09%3A30"));
    assert.equal(await from.inputValue(), "2026-07-01T09:30");
    await page.goto(at("/agents"));
    const times = page.getByRole("row", { name: /a1/ }).locator("time");
    if ((await times.count()) > 0) {
      assert.match((await times.first().getAttribute("title")) ?? "", /GMT-[45]|E[SD]T/);
    }
  });

  await t.test("a scope that is not saved is not left without a question", async () => {
    await page.goto(at("/agents"));
    await page.getByRole("link", { name: "a1", exact: true }).click();
    await page.getByRole("link", { name: "Scope", exact: true }).first().click();
    const models = page.getByRole("group", { name: "Models", exact: true });
    await models.getByRole("radio", { name: "Only these" }).check();
    await page.getByRole("textbox", { name: "Model 1" }).fill("claude-*");
    const onScope = () => assert.match(page.url(), /\/agents\/a1\/scope$/);
    for (const leave of [
      () => page.getByRole("link", { name: "Overview" }).click(),
      () => page.goBack(),
    ]) {
      await leave();
      await dialog.getByRole("heading", { name: "Leave without saving?" }).waitFor();
      await dialog.getByRole("button", { name: "Stay" }).click();
      await dialog.waitFor({ state: "detached" });
      onScope();
      assert.equal(await page.getByRole("textbox", { name: "Model 1" }).inputValue(), "claude-*");
    }
    const asked = page.waitForEvent("dialog");
    await page.evaluate("setTimeout(() => location.reload())");
    const question = await asked;
    assert.equal(question.type(), "beforeunload");
    await question.dismiss();
    onScope();
    await page.getByRole("link", { name: "Overview" }).click();
    await dialog.getByRole("button", { name: "Leave" }).click();
    await page.getByRole("heading", { name: "Overview" }).waitFor();
  });

  await t.test("a token that is shown once is not left without a question", async () => {
    await page.goto(at("/agents"));
    await page.getByRole("button", { name: "Deploy an agent" }).click();
    await dialog.getByLabel("Name", { exact: true }).fill("once");
    await dialog.getByRole("button", { name: "Deploy", exact: true }).click();
    const shown = await dialog.getByTestId("copy-text").textContent();
    await page.goBack();
    await page.getByRole("heading", { name: "Leave before you have it?" }).waitFor();
    await page.getByRole("button", { name: "Stay" }).click();
    assert.equal(await dialog.getByTestId("copy-text").textContent(), shown);
    await dialog.getByRole("button", { name: "I have it" }).click();
    await dialog.waitFor({ state: "detached" });
  });

  await t.test("a dialog dims all that is behind it, the scrollbar's place too", async () => {
    await page.goto(at("/agents"));
    const width = await page.evaluate<number>("document.body.clientWidth");
    assert.ok(width < 1280, "there is a place for a scrollbar");
    await page.getByRole("button", { name: "Destroy … a1" }).click();
    await dialog.waitFor();
    await nextFrame(page);
    const pieceAt = (x: number) =>
      page.screenshot({ clip: { x, y: 100, width: 4, height: 4 }, animations: "disabled" });
    assert.deepEqual(await pieceAt((width + 1280) / 2 - 2), await pieceAt(width - 10));
    await page.keyboard.press("Escape");
  });

  await t.test("no more than three notices stand there at once", async () => {
    await page.goto(at("/agents"));
    for (const agent of AGENTS) {
      await page.getByRole("button", { name: `Resume ${agent}` }).click();
      await page.getByRole("button", { name: `Suspend ${agent}` }).waitFor();
      assert.ok((await page.locator(".toast").count()) <= 3);
    }
    await page.locator(".toast", { hasText: `${AGENTS.at(-1) ?? ""} goes on` }).waitFor();
    assert.equal(await page.locator(".toast").count(), 3);
  });

  await t.test("a path that is no page's", async () => {
    const answer = await page.goto(at("/agents/a1/nothing/here"));
    assert.equal(answer?.status(), 404);
    await page.getByRole("heading", { name: "There is nothing here" }).waitFor();
    await page.getByRole("link", { name: "Go to the overview" }).click();
    await page.getByRole("heading", { name: "Overview" }).waitFor();
  });

  await t.test("without a network each page says so, and heals", async () => {
    const { secrets } = await send(service, "GET", "/secrets", undefined);
    const id = (secrets as { id: string }[])[0]?.id ?? "";
    await page.goto(at(PATHS.enrolment));
    await page.getByRole("heading", { level: 1 }).waitFor();
    await page.context().setOffline(true);
    const faults: string[] = [];
    for (const each of INSIDE.filter((path) => path !== PATHS.enrolment)) {
      const path = each.replace(":id", id).replace(":name", "a2");
      await goThere(page, path);
      await page
        .getByText("This could not be loaded")
        .first()
        .waitFor()
        .catch(() => faults.push(`${path} does not say so`));
      await eventually(
        async () => (await page.locator(".skeleton, [aria-busy=true]").count()) === 0,
      ).catch(() => faults.push(`${path} waits for ever`));
      if ((await page.getByText("This browser is offline. What").count()) === 0) {
        faults.push(`${path} has no note`);
      }
    }
    assert.deepEqual(faults, []);
    await page.context().setOffline(false);
    await eventually(async () => (await page.getByText(/could not be|is offline/).count()) === 0);
  });
  assert.deepEqual(watched.complaints, []);
});

async function signIn(page: Page): Promise<void> {
  await page.getByLabel("E-mail").fill(OWNER.email);
  await page.getByLabel("Password").fill(OWNER.password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { name: "Overview" }).waitFor();
}

/** Goes to another page of the dashboard by the browser's own way, without loading it anew. */
async function goThere(page: Page, path: string): Promise<void> {
  await page.evaluate(
    `history.pushState(null, "", "${path}"); history.pushState(null, "", "/enrolment")`,
  );
  await page.goBack();
}
