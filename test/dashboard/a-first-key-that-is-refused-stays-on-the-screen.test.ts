// The first key of a provider is active whatever the provider says: that it is refused stays on the screen, with the way to enter another.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createLookAlike } from "../../demo/look-alike/look-alike.ts";
import { openBrowser } from "../support/browser.ts";
import { runService } from "../support/service.ts";
import { becomeOwner } from "./inside.ts";

const GOOD = "sk-proj-FAKE-accepted-by-the-look-alike-1111";
const REFUSED = "sk-proj-FAKE-refused-by-the-look-alike-2222";

test("a first key that is refused stays on the screen", { timeout: 120_000 }, async (t) => {
  const lookAlike = createLookAlike({ keys: { openai: [GOOD] } });
  const origin = await lookAlike.listen();
  t.after(() => lookAlike.close());
  const service = await runService({
    env: { X3SPROXY_ORIGIN_OPENAI: origin, X3SPROXY_ALLOW_PRIVATE_UPSTREAMS: "127.0.0.0/8" },
  });
  t.after(() => service.remove());
  const browser = await openBrowser(t);
  const { page, assertAccessible, complaints } = await browser.open(`${service.adminUrl}/sign-in`);
  await becomeOwner(page, service.output.stderr);

  await page.getByRole("link", { name: "Add a key" }).click();
  const dialog = page.getByRole("dialog", { name: "Add a provider’s key" });
  await dialog.getByLabel("Provider", { exact: true }).selectOption("openai");
  await dialog.getByLabel("Key", { exact: true }).fill(REFUSED);
  await dialog.getByRole("button", { name: "Save" }).click();
  await dialog.getByText("The provider refuses the key.").waitFor();
  await assertAccessible();

  await dialog.getByRole("button", { name: "Enter another key" }).click();
  await dialog.getByLabel("New value").fill(GOOD);
  await dialog.getByRole("button", { name: "Rotate" }).click();
  await dialog.getByText(/openai\/production is on version 2/).waitFor();
  await dialog.getByRole("button", { name: "Done" }).click();
  await page.getByRole("row", { name: /^OpenAI production/ }).waitFor();
  assert.deepEqual(complaints, []);
});
