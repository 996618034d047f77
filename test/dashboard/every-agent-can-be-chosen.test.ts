// Filters, rights and what is said before something is deleted speak of all agents, also where they are more than a page.
import assert from "node:assert/strict";
import { test } from "node:test";
import { openBrowser } from "../support/browser.ts";
import { createTestDatabase } from "../support/database.ts";
import { runService } from "../support/service.ts";
import { OWNER, send } from "./workspace.ts";

const AGENTS = 205;

test("every agent can be chosen, beyond the longest page", { timeout: 120_000 }, async (t) => {
  const database = await createTestDatabase();
  t.after(() => database.drop());
  const service = await runService({ database });
  t.after(() => service.remove());
  for (let n = 0; n < AGENTS; n++) {
    const name = `agent-${String(n).padStart(3, "0")}`;
    const environment = n === AGENTS - 1 ? "lonely" : "production";
    await send(service, "POST", `/agents/${name}/deployments`, { environment });
  }
  const last = `agent-${AGENTS - 1}`;
  await send(service, "PUT", "/secrets", {
    provider: "openai",
    environment: "lonely",
    value: "sk-proj-FAKE-of-the-dashboards-tests-1111",
  });
  const token = /\/setup#token=(\w+)/.exec(service.output.stderr)?.[1];
  await send({ ...service, apiKey: "" }, "POST", "/setup", { token, ...OWNER });
  const browser = await openBrowser(t);
  const { page } = await browser.open(`${service.adminUrl}/sign-in`);
  await page.getByLabel("E-mail").fill(OWNER.email);
  await page.getByLabel("Password").fill(OWNER.password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { name: "Overview" }).waitFor();

  await t.test("in the filter of the activity", async () => {
    await page.goto(`${service.adminUrl}/activity`);
    await page.getByLabel("Agent").selectOption(last);
    assert.equal(new URL(page.url()).searchParams.get("agent"), last);
  });
  await t.test("for a key that is limited to some", async () => {
    await page.goto(`${service.adminUrl}/api-keys`);
    await page.getByRole("button", { name: "Make a key" }).first().click();
    await page.getByLabel("Limited to some agents").check();
    await page.getByRole("checkbox", { name: last }).check();
  });
  await t.test("among those that lose a key", async () => {
    await page.goto(`${service.adminUrl}/secrets`);
    await page.getByRole("button", { name: /Delete/ }).click();
    await page.getByRole("dialog").getByRole("listitem").filter({ hasText: last }).waitFor();
  });
});
