import assert from "node:assert/strict";
import { it } from "node:test";
import { eventually } from "../support/eventually.ts";
import { readSamples } from "../metrics/exposition.ts";
import { OWNER_EMAIL, openPeople } from "./people.ts";

const COUNTED = /^x3sproxy_(sign_ins|proofs|api_key_refusals)_total$/;

it("by result and way, and never by whom", async (t) => {
  const { metrics, first, browse, enrol, call } = await openPeople(t);
  const text = () => metrics.text();
  const counts = async (): Promise<Record<string, number>> =>
    Object.fromEntries(
      readSamples(await text())
        .filter(({ name, value }) => COUNTED.test(name) && value > 0)
        .map(({ name, labels, value }) => [
          [name.replace(/^x3sproxy_|_total$/g, ""), ...Object.values(labels)].join(" "),
          value,
        ]),
    );
  /** What is counted when a request is over is counted a moment after its answer. */
  const become = async (expected: Record<string, number>): Promise<void> => {
    const same = async () =>
      JSON.stringify(Object.entries(await counts()).sort()) ===
      JSON.stringify(Object.entries(expected).sort());
    await eventually(same, 3000).catch(() => undefined);
    assert.deepEqual(await counts(), expected);
  };

  await become({ "sign_ins link succeeded": 1 });
  await first.signIn(OWNER_EMAIL);
  await browse().signIn(OWNER_EMAIL, "a wrong password");
  await browse().signIn("nobody@example.test", "a wrong password");
  await browse().call("POST", "/invitations/accept", {
    token: `x3slink_${"A".repeat(32)}`,
    password: "correct horse",
  });
  await become({
    "sign_ins link succeeded": 1,
    "sign_ins link refused": 1,
    "sign_ins password succeeded": 1,
    "sign_ins password refused": 2,
  });
  // A body that is no attempt is none.
  await browse().call("POST", "/sign-in", { email: OWNER_EMAIL });

  assert.equal(
    (await first.call("POST", "/me/proof", { password: "a wrong password" })).status,
    401,
  );
  assert.equal(
    (await first.call("POST", "/me/proof", { password: "correct horse battery" })).status,
    200,
  );
  assert.equal((await call("GET", "/api/v1/agents", undefined, "no key")).status, 401);
  assert.equal((await call("GET", "/api/v1/agents")).status, 200);
  await enrol(first);
  assert.equal((await browse().signIn(OWNER_EMAIL)).status, 401);
  const stranger = browse();
  for (
    let tries = 0;
    (await stranger.signIn("other@example.test", "a wrong password")).status !== 429;
    tries++
  ) {
    assert.ok(tries < 30);
  }
  const after = await counts();
  assert.ok((after["sign_ins password refused"] ?? 0) > 2);
  await become({
    ...after,
    "sign_ins password code_needed": 1,
    "sign_ins password limited": 1,
    "proofs refused": 1,
    "proofs succeeded": 1,
    "api_key_refusals unknown": 1,
  });
  assert.ok(!(await text()).includes("example.test"));
});
