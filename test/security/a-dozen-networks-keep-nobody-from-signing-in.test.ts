// Whoever has a dozen networks fills all the room before the thread for passwords. Somebody who comes from elsewhere, by a browser that is
// not known yet, gets a turn all the same.
import assert from "node:assert/strict";
import { it } from "node:test";
import type { RequestError } from "../../src/platform/errors.ts";
import { createPasswordHasher } from "../../src/identity/passwords.ts";

it("a dozen networks keep nobody from signing in", async () => {
  const hasher = createPasswordHasher();
  const answers: Promise<string>[] = [];
  for (let network = 0; network < 12; network++) {
    const line = { known: false, key: `198.51.100.${network}` };
    for (let i = 0; i < 40; i++) {
      answers.push(
        hasher.verify("a-FAKE-guess", undefined, line).then(
          () => "looked at",
          (error: unknown) => (error as RequestError).code,
        ),
      );
    }
  }
  const elsewhere = { known: false, key: "203.0.113.7" };
  assert.equal(await hasher.verify("a-FAKE-password", undefined, elsewhere), false);
  const ended = await Promise.all(answers);
  assert.deepEqual(new Set(ended), new Set(["looked at", "busy"]));
});
