// The first steps are ticked as they happen; a key that the provider refuses becomes active only when its name is typed.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createLookAlike } from "../../demo/look-alike/look-alike.ts";
import { openBrowser } from "../support/browser.ts";
import { eventually } from "../support/eventually.ts";
import { runService } from "../support/service.ts";
import { becomeOwner } from "./inside.ts";

const GOOD = "sk-proj-FAKE-accepted-by-the-look-alike-1111";
const REFUSED = "sk-proj-FAKE-refused-by-the-look-alike-2222";
const NAME = "openai/production";

test("first steps, a refused key, and the way back", { timeout: 120_000 }, async (t) => {
  const lookAlike = createLookAlike({ keys: { openai: [GOOD] } });
  const origin = await lookAlike.listen();
  t.after(() => lookAlike.close());
  const service = await runService({
    env: { X3SPROXY_ORIGIN_OPENAI: origin, X3SPROXY_ALLOW_PRIVATE_UPSTREAMS: "127.0.0.0/8" },
  });
  t.after(() => service.remove());
  const watched = await (await openBrowser(t)).open(`${service.adminUrl}/sign-in`);
  const { page, assertAccessible, complaints } = watched;
  await becomeOwner(page, service.output.stderr);

  const steps = page.getByRole("list", { name: "First steps" });
  const ticked = () => steps.getByText(": done").count();
  await steps.waitFor();
  assert.equal(await ticked(), 0);
  assert.equal(await page.getByText("Needs attention").count(), 0, "nothing is praised");
  await assertAccessible();
  await service.setSecret("openai", GOOD);
  await eventually(async () => (await ticked()) === 1, 15_000);
  const token = await service.deploy("coder");
  await eventually(async () => (await ticked()) === 2, 15_000);
  const headers = { authorization: `Bearer ${token}` };
  const models = () => fetch(`${service.proxyUrl}/openai/v1/models`, { headers });
  assert.equal((await models()).status, 200);
  await eventually(async () => (await ticked()) === 3, 30_000);
  await page.getByText("Needs attention").waitFor();
  await page.reload();
  await page.getByText("Needs attention").waitFor();
  assert.equal(await steps.count(), 0);

  await page.getByRole("link", { name: "Secrets" }).click();
  await page.getByRole("button", { name: "Rotate openai in production" }).click();
  await page.getByLabel("New value").fill(REFUSED);
  await page.getByRole("button", { name: "Rotate", exact: true }).click();
  await page.getByText(/refused the new key \(401\)\. Version 1 stays active/).waitFor();
  await assertAccessible();
  await page.getByRole("button", { name: "Activate anyway" }).click();
  await page.getByText(`This is not ${NAME}.`).waitFor();
  assert.equal((await models()).status, 200, "the old key is at work");
  await page.getByLabel(/^Type/).fill(NAME);
  await page.getByRole("button", { name: "Activate anyway" }).click();
  await page.getByText(`${NAME}: version 2 is active`).waitFor();
  await page.getByText(/0 of 1 agent has moved to version 2/).waitFor();
  await assertAccessible();
  await page.getByRole("button", { name: "Roll back to version 1" }).click();
  await page.getByText(`${NAME}: back on version 1`).waitFor();
  await eventually(async () => (await models()).status === 200);
  assert.deepEqual(complaints, []);
});
