import assert from "node:assert/strict";
import { it } from "node:test";
import { verify } from "@node-rs/argon2";
import { createPasswordHasher } from "../../src/identity/passwords.ts";
import { openIdentity, PASSWORD } from "./fixture.ts";

it("the database has the argon2id hash with 19 MiB, two passes, one lane", async (t) => {
  const { owner, setUp } = await openIdentity(t);
  assert.equal(await setUp("first@example.test"), "made");
  const [user] = await owner<{ password_hash: string }[]>`select password_hash from x3sproxy.users`;
  const hash = user?.password_hash ?? "";
  assert.match(hash, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
  assert.equal(await verify(hash, PASSWORD), true);
  assert.equal(await verify(hash, `${PASSWORD}!`), false);
});

it("the same password in another Unicode form has the same hash", async () => {
  const hash = await createPasswordHasher().hash("Zoe\u0308 and twelve more", anonymousFrom(1));
  assert.equal(await verify(hash, "Zo\u00eb and twelve more"), true);
});

it("a rush from one network is refused with 503 once it has its share of the room; others still get their turn", async () => {
  const passwords = createPasswordHasher();
  const rush = Array.from({ length: 40 }, () =>
    passwords.verify("wrong", undefined, anonymousFrom(1)),
  );
  const settled = Promise.allSettled(rush);
  // Eight networks with one hash each: on the strangers' thread they take nine hashes' time, on a thread of its own one takes one.
  const others = Promise.all(
    [2, 3, 4, 5, 6, 7, 8, 9].map((network) => passwords.hash(PASSWORD, anonymousFrom(network))),
  );
  const known = passwords.hash(PASSWORD, { known: true, key: "a user" });
  const first = await Promise.race([known.then(() => "known"), others.then(() => "others")]);
  assert.equal(first, "known", "who is known has a thread of their own");
  const then = await Promise.race([settled.then(() => "rush"), others.then(() => "others")]);
  assert.equal(then, "others", "the rush has the last turns");
  const refused = (await settled).filter((outcome) => outcome.status === "rejected");
  assert.equal(refused.length, 40 - 1 - 32);
  for (const { reason } of refused) assert.equal((reason as { status: number }).status, 503);
  await passwords.hash(PASSWORD, anonymousFrom(1));
});

function anonymousFrom(network: number) {
  return { known: false, key: `network ${network}` };
}
