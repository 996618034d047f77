// The audit's page, the retention in the settings and the erasure of a deleted user, on the real service, as an owner uses them.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import type { Page } from "playwright-core";
import { openCheckpoint } from "../../src/audit/note.ts";
import { withOwner } from "../../src/db/connection.ts";
import { verify } from "../audit/sealed-log.ts";
import { openBrowser, type WatchedPage } from "../support/browser.ts";
import { createTestDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { runService } from "../support/service.ts";
import { OWNER, send } from "./workspace.ts";

const GONE = "gone@example.test";
/** After a change of theme: colours pass over into each other. */
const COLOURS_ARE_THERE = `new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))
  .then(() => Promise.allSettled(document.getAnimations().map((each) => each.finished)))
  .then(() => undefined)`;
const SHAPES = [
  { width: 1280, colorScheme: "light" },
  { width: 360, colorScheme: "light" },
  { width: 360, colorScheme: "dark" },
] as const;

async function assertGood({ page, assertAccessible, assertFits }: WatchedPage): Promise<void> {
  for (const { width, colorScheme } of SHAPES) {
    await page.setViewportSize({ width, height: 800 });
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    await page.evaluate(COLOURS_ARE_THERE);
    await assertFits();
    await assertAccessible(colorScheme === "light" ? undefined : ["color-contrast"]);
  }
  await page.setViewportSize({ width: 1280, height: 800 });
  await page.emulateMedia({ colorScheme: "light" });
}

async function download(page: Page, press: () => Promise<void>): Promise<Buffer> {
  const [file] = await Promise.all([page.waitForEvent("download"), press()]);
  return readFile(await file.path());
}

async function signIn(page: Page, adminUrl: string, output: string): Promise<void> {
  const token = /\/setup#token=(\w+)/.exec(output)?.[1];
  await send({ adminUrl, apiKey: "" }, "POST", "/setup", { token, ...OWNER });
  await page.getByLabel("E-mail").fill(OWNER.email);
  await page.getByLabel("Password").fill(OWNER.password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { name: "Overview" }).waitFor();
}

/** Somebody who came and went. */
async function comeAndGo(place: { adminUrl: string; apiKey: string }): Promise<void> {
  const invited = await send(place, "POST", "/invitations", { email: GONE, role: "viewer" });
  const token = String(invited["url"]).replace(/^.*#token=/, "");
  const { me } = (await send({ ...place, apiKey: "" }, "POST", "/invitations/accept", {
    token,
    password: "a FAKE passphrase of somebody else, 4Hp",
  })) as { me: { id: string } };
  await send(place, "DELETE", `/users/${me.id}`, undefined);
}

test(
  "the audit is filtered, proved, exported, kept and erased from",
  { timeout: 240_000 },
  async (t) => {
    const database = await createTestDatabase();
    t.after(() => database.drop());
    const service = await runService({ database });
    t.after(() => service.remove());
    const owner = <T>(work: Parameters<typeof withOwner<T>>[1]) =>
      withOwner(database.ownerUrl, work);
    const browser = await openBrowser(t);
    const watched = await browser.open(`${service.adminUrl}/sign-in`);
    const { page } = watched;
    await signIn(page, service.adminUrl, service.output.stderr);
    await send(service, "POST", "/agents/coder/deployments", {});
    await send(service, "POST", "/agents/writer/deployments", {});
    await comeAndGo(service);
    for (const result of ["unused", "provider openai", "password_wrong"]) {
      await owner(
        (sql) => sql`
          insert into x3sproxy.audit_events (workspace_id, actor_kind, actor_name, method, action, target_kind, target_id,
            target_name, result, detail)
          select id, 'service', 'x3sproxy', 'test', 'secret.release', 'agent', 'an-id', 'coder', ${result},
            '{"provider":"openai","version":3}' from x3sproxy.workspaces`,
      );
    }
    const table = page.getByRole("table", { name: "Audit events" });
    const rows = table.getByRole("row");

    const focused = () => page.evaluate<string>("document.activeElement.textContent.trim()");

    await t.test("filters stay in the URL, and hold for what is exported", async () => {
      await page.getByRole("link", { name: "Audit", exact: true }).click();
      await table.getByText("user.delete").waitFor();
      await page.getByLabel("Action").fill("agent.deploy");
      await page.getByLabel("On what").fill("coder");
      await page.getByRole("button", { name: "Filter", exact: true }).click();
      await eventually(async () => (await rows.count()) === 2);
      await page.reload();
      await table.getByRole("row", { name: /coder/ }).waitFor();
      assert.equal(await rows.count(), 2);
      assert.equal(new URL(page.url()).search, "?action=agent.deploy&target=coder");
      const lines = await download(page, () =>
        page.getByRole("button", { name: "Export JSON Lines" }).click(),
      );
      assert.partialDeepStrictEqual(verify(lines), {
        ...{ verified: true, findings: [], events: 1 },
        filters: { action: "agent.deploy", target: "coder" },
      });
      const csv = await download(page, () =>
        page.getByRole("button", { name: "Export CSV" }).click(),
      );
      assert.equal(csv.toString("utf8").trimEnd().split("\n").length, 2);
    });

    await t.test("an event tells all, and proves that it is in the log", async () => {
      await page.goto(`${service.adminUrl}/audit?action=agent.deploy&target=coder`);
      const details = page.getByRole("button", { name: /^Details of agent.deploy/ });
      await eventually(async () => {
        await page.reload();
        await details.waitFor();
        return table.getByText(/^sealed, no. \d+$/).isVisible();
      });
      await details.focus();
      await page.keyboard.press("Enter");
      const dialog = page.getByRole("dialog");
      await dialog.getByText("production", { exact: true }).waitFor();
      await assertGood(watched);
      await dialog.getByRole("button", { name: "Proof", exact: true }).focus();
      await page.keyboard.press("Enter");
      await eventually(async () => (await focused()) === "Back");
      await page.keyboard.press("Enter");
      await eventually(async () => (await focused()) === "Proof");
      await page.keyboard.press("Enter");
      const proof = JSON.parse(await dialog.getByLabel("proof", { exact: true }).innerText()) as {
        event: { id: string; proof: string[] };
        index: number;
        size: number;
        checkpoint: string;
        verifierKey: string;
      };
      assert.equal(openCheckpoint(proof.checkpoint, proof.verifierKey).size, proof.size);
      assert.ok(proof.event.proof.length > 0 && proof.index < proof.size);
      await assertGood(watched);
      const file = await download(page, () =>
        dialog.getByRole("button", { name: "Download the proof" }).click(),
      );
      assert.deepEqual(JSON.parse(file.toString("utf8")), proof);
      const commands = await dialog.getByLabel("commands", { exact: true }).innerText();
      const [exporting = ""] = commands.replaceAll("\\\n  ", "").split("\n");
      const written = join(service.dataDir, "event.jsonl");
      const args = exporting.replace("event.jsonl", written).split(" ").slice(2);
      const exported = await service.cli(args);
      assert.equal(exported.status, 0, exported.stderr);
      const report = verify(await readFile(written), { key: proof.verifierKey });
      assert.partialDeepStrictEqual(report, { verified: true, events: 1 });
      await page.keyboard.press("Escape");
      await dialog.waitFor({ state: "detached" });
      await eventually(async () => (await focused()) === "Details");
    });

    await t.test("the checkpoint and its key can be taken along", async () => {
      await page.getByRole("button", { name: "Checkpoint" }).click();
      const dialog = page.getByRole("dialog");
      await dialog.getByText("waiting").waitFor();
      await assertGood(watched);
      await dialog.getByRole("button", { name: "Copy verifier key" }).click();
      const note = await dialog.getByLabel("checkpoint", { exact: true }).innerText();
      const key = await page.evaluate<string>("navigator.clipboard.readText()");
      assert.ok(openCheckpoint(`${note.trimEnd()}\n`, key).size > 0);
      await page.keyboard.press("Escape");
    });

    await t.test("only what went wrong is marked as bad", async () => {
      await page.goto(`${service.adminUrl}/audit?action=secret.release`);
      const toneOf = async (result: string) =>
        table.locator(".badge", { hasText: result }).getAttribute("class");
      await table.getByText("password_wrong").waitFor();
      assert.equal(await toneOf("unused"), "badge plain");
      assert.equal(await toneOf("provider openai"), "badge plain");
      assert.equal(await toneOf("password_wrong"), "badge bad");
      await page
        .getByRole("button", { name: /^Details of secret.release/ })
        .first()
        .click();
      await page.getByRole("dialog").getByText("version").waitFor();
      await page.keyboard.press("Escape");
    });

    await t.test("an owner sets how long it is kept", async () => {
      await page.goto(`${service.adminUrl}/settings/workspace`);
      const retention = page.getByLabel("Keep the audit for");
      assert.equal(await retention.inputValue(), "365");
      const save = async () => {
        await page.getByRole("button", { name: "Save", exact: true }).click();
        await page.getByText("Saved").last().waitFor();
      };
      await retention.selectOption("6 years (HIPAA)");
      await save();
      await retention.selectOption("a number of days");
      await page.getByLabel("Days to keep the audit").fill("45");
      await save();
      await page.getByText(/What was set counts from .* until then the time before it/).waitFor();
      await page.reload();
      await eventually(async () => (await retention.inputValue()) === "days");
      assert.equal(await page.getByLabel("Days to keep the audit").inputValue(), "45");
    });

    await t.test("a deleted user is erased, after it was typed twice", async () => {
      await page.goto(`${service.adminUrl}/users`);
      await page.getByRole("button", { name: "Erase somebody …" }).click();
      const dialog = page.getByRole("dialog");
      const user = dialog.getByLabel("E-mail or id");
      const again = dialog.getByLabel("The same again, to go on");
      const erase = () => dialog.getByRole("button", { name: "Erase for good" }).click();
      await user.fill(OWNER.email);
      await again.fill(GONE);
      await erase();
      await dialog.getByText("This is not the same.").waitFor();
      await assertGood(watched);
      await again.fill(OWNER.email);
      await erase();
      await dialog.getByText("Delete the user first").waitFor();
      await user.fill(GONE);
      await again.fill(GONE);
      await erase();
      await page.getByText(/Erased from \d+ parts of events/).waitFor();
      await page.goto(`${service.adminUrl}/audit`);
      await table.getByText("erased on request").first().waitFor();
      assert.equal(await page.getByText(GONE).count(), 0);
    });

    await t.test("where the audit begins is said at its end", async () => {
      await owner(async (sql) => {
        await sql`
          update x3sproxy.audit_events e set created_at = now() - interval '3000 days'
          from x3sproxy.audit_leaves l where l.event_id = e.id and l.leaf_index < 3`;
        await sql`select x3sproxy.prune_audit()`;
      });
      await page.reload();
      await page
        .getByText(/^Events before .* were pruned under the retention of 2,190 days/)
        .waitFor();
    });
    assert.deepEqual(watched.complaints, []);
  },
);
