// A sensitive change long after the last proof: the dialog that asks for it, over the form that is being sent.
import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import type { Page } from "playwright-core";
import { OWNER_EMAIL, PASSWORD, openPeople } from "../admin/people.ts";
import { eventually } from "../support/eventually.ts";
import { openBrowser } from "../support/browser.ts";

const OLD_KEY = "sk-proj-FAKE-before-the-proof-1111";
const NEW_KEY = "sk-proj-FAKE-after-the-proof-2222";

describe("when the last proof is older than five minutes", { timeout: 90_000 }, () => {
  it("a wrong password is said and keeps the form; the right one lets the change go on", async (t) => {
    const { page, people, complaints, assertAccessible } = await signedIn(t, "/secrets");
    await people.ageProofs("6 minutes");
    const rotate = page.getByRole("button", { name: "Rotate openai in production" });
    const form = await typeNewKey(page, rotate);
    await form.getByRole("button", { name: "Rotate", exact: true }).click();

    const proof = proofDialog(page);
    await proof.waitFor();
    await eventually(async () => (await focusedIn(page)) === "Your password");
    await assertAccessible();
    await page.keyboard.type("not the password at all");
    await page.keyboard.press("Enter");
    await proof.getByRole("alert").getByText(/./).waitFor();
    assert.equal(await page.getByLabel("New value").inputValue(), NEW_KEY);
    assert.equal(await versions(people), 1);

    await proof.getByLabel("Your password").fill(PASSWORD);
    await page.keyboard.press("Enter");
    await page.getByText("openai/production: version 2 is active").waitFor();
    await proof.waitFor({ state: "detached" });
    await form.getByRole("button", { name: "Done" }).click();
    await form.waitFor({ state: "detached" });
    assert.equal(await versions(people), 2);
    await eventually(async () => (await focusedIn(page)) === "Rotate openai in production");
    assert.deepEqual(complaints, []);
  });

  it("a code of the authenticator app does, too", async (t) => {
    const { page, people } = await signedIn(t, "/users", async ({ first, join, enrol }) => {
      await join("other@example.test", "viewer");
      return enrol(first);
    });
    await people.ageProofs("6 minutes");
    await page.getByRole("button", { name: "Change role of other@example.test" }).click();
    await page.getByLabel("Role", { exact: true }).selectOption("operator");
    await page.getByRole("button", { name: "Save" }).click();
    const proof = proofDialog(page);
    await proof.getByRole("button", { name: "Use a code" }).click();
    await proof.getByLabel(/^Code/).waitFor();
    await eventually(async () => /^Code/.test(await focusedIn(page)));
    await page.keyboard.type(people.code());
    await page.keyboard.press("Enter");
    await page.getByText("other@example.test is operator").waitFor();
    await proof.waitFor({ state: "detached" });
  });

  it("leaving the dialog leaves everything as it was, and the focus where it came from", async (t) => {
    const { page, people } = await signedIn(t, "/secrets");
    await people.ageProofs("6 minutes");
    const form = await typeNewKey(
      page,
      page.getByRole("button", { name: "Rotate openai in production" }),
    );
    const send = form.getByRole("button", { name: "Rotate", exact: true });
    const proof = proofDialog(page);
    for (const leave of [
      () => proof.getByRole("button", { name: "Cancel" }).click(),
      () => page.keyboard.press("Escape"),
    ]) {
      await send.click();
      await proof.waitFor();
      await leave();
      await proof.waitFor({ state: "detached" });
      await form.getByText("Nothing was changed.").waitFor();
      assert.equal(await page.getByLabel("New value").inputValue(), NEW_KEY);
      await eventually(async () => (await focusedIn(page)) === "Rotate");
    }
    await page.keyboard.press("Escape");
    await form.waitFor({ state: "detached" });
    assert.equal(await versions(people), 1);
    await eventually(async () => (await focusedIn(page)) === "Rotate openai in production");
  });
});

type People = Awaited<ReturnType<typeof openPeople>>;

/** The owner in front of `path`, with a key in place. `before` may give them a second factor. */
async function signedIn(
  t: TestContext,
  path: string,
  before?: (people: People) => ReturnType<People["enrol"]>,
) {
  const people = await openPeople(t, { dashboardUrl: "http://localhost:8788" });
  await people.call("PUT", "/api/v1/secrets", { provider: "openai", value: OLD_KEY });
  const factor = await before?.(people);
  const watched = await (await openBrowser(t)).open(people.url + path);
  const { page } = watched;
  const code = () => factor?.nextCode() ?? "";
  await page.getByLabel("E-mail").fill(OWNER_EMAIL);
  await page.getByLabel("Password").fill(PASSWORD);
  await page.keyboard.press("Enter");
  if (factor !== undefined) {
    await page.getByLabel("Code").fill(code());
    await page.keyboard.press("Enter");
  }
  await page.getByRole("table").first().waitFor();
  return { ...watched, people: { ...people, code } };
}

async function typeNewKey(page: Page, rotate: ReturnType<Page["locator"]>) {
  await rotate.click();
  const form = page.getByRole("dialog", { name: "Rotate the key" });
  await form.getByLabel("New value").fill(NEW_KEY);
  await form.getByLabel(/Test it/).uncheck();
  return form;
}

const proofDialog = (page: Page) => page.getByRole("dialog", { name: "Confirm that it is you" });

/** The name of what has the focus. */
const focusedIn = (page: Page) =>
  page.evaluate<string>(`(() => {
    const { labels, ariaLabel, innerText } = document.activeElement;
    return labels?.[0]?.innerText ?? ariaLabel ?? innerText;
  })()`);

async function versions({ owner }: People): Promise<number> {
  return (await owner`select from x3sproxy.secret_versions`).count;
}
