// A reset of somebody with a second factor: the owner makes the link in one browser, the user opens it in another.
import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import { openBrowser } from "../support/browser.ts";
import { OWNER_EMAIL, PASSWORD, openPeople } from "../admin/people.ts";

const USER = "user@example.test";
const NEW_PASSWORD = "another FAKE passphrase, 9Qx";

describe("the link of a reset", { timeout: 90_000 }, () => {
  it("asks for a code beside the new password, and outlives a wrong one", async (t) => {
    const { page, complaints, assertAccessible, people, nextCode } = await openLink(t, {
      removesFactor: false,
    });
    await page.getByText(USER).waitFor();
    await assertAccessible();
    await page.getByLabel("Password", { exact: true }).fill(NEW_PASSWORD);
    const code = page.getByLabel("Code");
    await code.fill("000000");
    await page.getByRole("button", { name: "Set the password" }).click();
    await page.getByRole("alert").getByText(/./).waitFor();
    assert.equal((await people.browse().signIn(USER)).status, 401, "still with a second factor");
    assert.equal(await page.getByLabel("Password", { exact: true }).inputValue(), NEW_PASSWORD);
    assert.equal(await code.inputValue(), "");

    await code.fill(nextCode());
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Overview" }).waitFor();
    await page.getByText(USER).waitFor();
    const again = await people.browse().signIn(USER, NEW_PASSWORD, nextCode());
    assert.equal(again.status, 200, again.text);
    assert.deepEqual(complaints, []);
  });

  it("asks for none when the second factor goes with it", async (t) => {
    const { page, complaints, people } = await openLink(t, { removesFactor: true });
    await page.getByLabel("Password", { exact: true }).fill(NEW_PASSWORD);
    assert.equal(await page.getByLabel("Code").count(), 0);
    await page.getByRole("button", { name: "Set the password" }).click();
    await page.getByRole("heading", { name: "Set up a second factor" }).waitFor();
    await page.getByRole("link", { name: "Not now: go to the dashboard" }).click();
    await page.getByRole("heading", { name: "Overview" }).waitFor();
    const again = await people.browse().signIn(USER, NEW_PASSWORD);
    assert.equal(again.status, 200, again.text);
    assert.deepEqual(complaints, []);
  });
});

/** As the user, in a browser that nobody has used, where the link that the owner was shown leads. */
async function openLink(t: TestContext, { removesFactor }: { removesFactor: boolean }) {
  const people = await openPeople(t, { dashboardUrl: "http://localhost:8788" });
  const { browser: theirs } = await people.join(USER, "viewer");
  const { nextCode } = await people.enrol(theirs);
  const browser = await openBrowser(t);

  const owner = (await browser.open(`${people.url}/users`)).page;
  await owner.getByLabel("E-mail").fill(OWNER_EMAIL);
  await owner.getByLabel("Password").fill(PASSWORD);
  await owner.getByRole("button", { name: "Sign in" }).click();
  await owner.getByRole("button", { name: `Reset … ${USER}` }).click();
  const removal = owner.getByLabel(/Also remove the second factor/);
  await removal.setChecked(removesFactor);
  await owner.getByRole("button", { name: "Make the link" }).click();
  const link = await owner.getByTestId("copy-text").innerText();
  await owner.getByRole("button", { name: "I have it" }).click();

  const { pathname, hash } = new URL(link);
  const watched = await browser.open(people.url + pathname + hash);
  await watched.page.getByRole("heading", { name: "Choose a new password" }).waitFor();
  await watched.page.getByLabel("Password", { exact: true }).waitFor();
  assert.equal(watched.page.url(), people.url + pathname, "the token left the address bar");
  return { ...watched, people, nextCode };
}
