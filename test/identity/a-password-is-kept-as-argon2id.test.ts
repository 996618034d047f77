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
  const hash = await createPasswordHasher().hash("Zoe\u0308 and twelve more");
  assert.equal(await verify(hash, "Zo\u00eb and twelve more"), true);
});

it("past ten at once, hashing answers 503 rather than queue on; afterwards it serves again", async () => {
  const passwords = createPasswordHasher();
  const outcomes = await Promise.allSettled(
    Array.from({ length: 14 }, () => passwords.hash(PASSWORD)),
  );
  const refused = outcomes.filter((outcome) => outcome.status === "rejected");
  assert.equal(refused.length, 4);
  for (const { reason } of refused) assert.equal((reason as { status: number }).status, 503);
  await passwords.hash(PASSWORD);
});
