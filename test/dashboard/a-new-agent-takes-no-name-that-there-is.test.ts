// "Deploy an agent" makes a new one: under the name of one that there is it would end a token that is at work.
import assert from "node:assert/strict";
import { test } from "node:test";
import { openBrowser } from "../support/browser.ts";
import { runService } from "../support/service.ts";
import { becomeOwner } from "./inside.ts";

test("a new agent takes no name that there is", { timeout: 120_000 }, async (t) => {
  const service = await runService();
  t.after(() => service.remove());
  const token = await service.deploy("coder");
  const browser = await openBrowser(t);
  const { page, assertAccessible, complaints } = await browser.open(`${service.adminUrl}/sign-in`);
  await becomeOwner(page, service.output.stderr);
  await page.getByRole("link", { name: "Agents", exact: true }).click();
  await page.getByRole("button", { name: "Deploy an agent" }).click();

  const dialog = page.getByRole("dialog", { name: "Deploy an agent" });
  await dialog.getByLabel("Name", { exact: true }).fill("coder");
  await dialog.getByRole("button", { name: "Deploy" }).click();
  await dialog.getByText("There is an agent of this name.").waitFor();
  await assertAccessible();
  const self = await fetch(`${service.proxyUrl}/openai/v1/models`, {
    headers: { authorization: `Bearer ${token}` },
  });
  assert.notEqual(self.status, 401, "its token is good");

  await dialog.getByLabel("Name", { exact: true }).fill("coder-2");
  await dialog.getByRole("button", { name: "Deploy" }).click();
  await page.getByRole("heading", { name: "coder-2 is deployed" }).waitFor();
  assert.deepEqual(complaints, []);
});
