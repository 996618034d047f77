// Every page of a workspace that has more of everything than one page of a list: what it counts and offers is of all of it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually } from "../support/eventually.ts";
import { CROWD, LAST, openCrowd } from "./crowd.ts";

test("no page takes one page of a list for all of it", { timeout: 240_000 }, async (t) => {
  const { page, watched, at, lastId } = await openCrowd(t);
  const table = (name: string) => page.getByRole("table", { name, exact: true });
  const rows = (name: string) => table(name).locator("tbody tr:not(.loading)");
  const listIn = (name: string) => page.locator(".table-card").filter({ has: table(name) });
  const waitFor = (name: string, count: number) =>
    eventually(async () => (await rows(name).count()) === count);
  /** Says how many of how many there are, and shows them, page by page. */
  const assertAll = async (path: string, name: string, total: number) => {
    await page.goto(at(path));
    for (let shown = 100; ; shown += 100) {
      await waitFor(name, Math.min(shown, total));
      const end = listIn(name).locator(".table-end");
      assert.match(
        await end.innerText(),
        shown < total ? new RegExp(`^${shown} of ${total}\\s`) : new RegExp(`^${total}$`),
      );
      if (shown >= total) break;
      await end.getByRole("button", { name: "Show more" }).click();
    }
  };
  const dialog = page.getByRole("dialog");

  await t.test("agents", () => assertAll("/agents", "Agents", CROWD.agents));
  await t.test("agents that are searched for", async () => {
    await page.getByLabel("Search the agents").fill("GENT-24");
    await waitFor("Agents", 10);
    assert.equal(new URL(page.url()).searchParams.get("query"), "GENT-24");
    await page.getByLabel("Search the agents").fill("nobody at all");
    await page.getByText("Nothing has “nobody at all” in it").waitFor();
  });
  await t.test("keys", () => assertAll("/secrets", "Secrets", CROWD.secrets));
  await t.test("keys that are searched for", async () => {
    await page.getByLabel("Search the keys").fill(LAST.environment);
    await waitFor("Secrets", 1);
  });
  await t.test("all who lose a key", async () => {
    await page.getByRole("button", { name: /^Delete …/ }).click();
    await dialog
      .getByText("these 240 agents, of which 120 have used it", { exact: false })
      .waitFor();
    assert.equal(await dialog.getByRole("listitem").count(), 240);
    await page.keyboard.press("Escape");
  });
  await t.test("a key that stands beyond the first page", async () => {
    await page.goto(at(`/secrets?${new URLSearchParams(LAST).toString()}`));
    await dialog.getByRole("heading", { name: "Rotate the key" }).waitFor();
    await page.goto(at(`/secrets/${lastId}`));
    await page.getByRole("heading", { name: `openai in ${LAST.environment}` }).waitFor();
    await page.getByText("and 115 more agents").click();
    await page.getByRole("link", { name: "agent-249" }).waitFor();
    await page.getByRole("link", { name: "agent-130" }).waitFor();
  });
  await t.test("every agent in the filter of the activity", async () => {
    await page.goto(at("/activity"));
    await page.getByLabel("Agent").selectOption("agent-249");
    assert.equal(new URL(page.url()).searchParams.get("agent"), "agent-249");
    await waitFor("Activity", 1);
  });
  await t.test("what agents did, and on whose behalf", async () => {
    for (const [path, name] of [
      ["/activity", "Activity"],
      ["/audit/contexts", "Contexts"],
    ] as const) {
      await page.goto(at(path));
      for (let shown = 100; shown < CROWD.agents; shown += 100) {
        await waitFor(name, shown);
        await page.getByRole("button", { name: "Show more" }).click();
      }
      await waitFor(name, CROWD.agents);
      assert.equal(await page.getByRole("button", { name: "Show more" }).count(), 0);
    }
    await page.goto(at("/audit"));
    await waitFor("Audit events", 100);
    await page.getByRole("button", { name: "Show more" }).click();
    await rows("Audit events")
      .nth(CROWD.secrets - 1)
      .waitFor();
  });
  await t.test("users and who is invited", async () => {
    await assertAll("/users", "Users", CROWD.users);
    await assertAll("/users", "Open invitations", CROWD.users);
  });
  await t.test("API keys, with every agent to limit one to", async () => {
    await assertAll("/api-keys", "API keys", CROWD.users + 1);
    await page.getByRole("button", { name: "Make a key" }).first().click();
    await page.getByLabel("Limited to some agents").check();
    await page.getByRole("checkbox", { name: "agent-249" }).check();
    await dialog.getByText(`1 of ${CROWD.agents} chosen`).waitFor();
    await dialog.getByRole("searchbox").fill("AGENT-00");
    assert.equal(await dialog.getByRole("checkbox", { name: /^agent-/ }).count(), 10);
    await page.keyboard.press("Escape");
  });
  await t.test("one's own sessions", async () => {
    await page.goto(at("/settings"));
    // A user has no more of them.
    await waitFor("Sessions", 100);
    assert.equal(await page.getByRole("button", { name: "Show more" }).count(), 0);
  });
  await t.test("environments, and whom an emergency stops", async () => {
    await page.goto(at("/settings/workspace"));
    await waitFor("Environments", CROWD.secrets + 1);
    await page.getByRole("button", { name: "Suspend all agents" }).click();
    await dialog.getByText(`${CROWD.agents} agents`).waitFor();
    await page.keyboard.press("Escape");
  });
  await t.test("all who have used a provider that is removed", async () => {
    await page.goto(at("/settings/providers"));
    await page.getByRole("button", { name: "Remove … gateway" }).click();
    await dialog.getByText("It was used by these 240 agents").waitFor();
    assert.equal(await dialog.getByRole("listitem").count(), 240);
    await page.keyboard.press("Escape");
  });
  await t.test("the overview, by agent and what needs attention", async () => {
    await page.goto(at("/"));
    const shares = page.locator(".section").filter({ has: table("By agent") });
    await shares.getByText(`The first 10 of ${CROWD.agents}`).waitFor();
    await shares.getByRole("button", { name: "Show more" }).click();
    await shares.getByText(`The first 200 of ${CROWD.agents}`).waitFor();
    const attention = page.locator(".attention");
    await attention.getByText(`The first 10 of ${CROWD.agents}`).waitFor();
    await attention.getByRole("button", { name: "Show more" }).click();
    assert.equal(await attention.getByRole("listitem").count(), CROWD.agents);
  });
  assert.deepEqual(watched.complaints, []);
});
