import assert from "node:assert/strict";
import { it } from "node:test";
import { clientAt, openIdentity } from "./fixture.ts";

const ROUNDS = 40;
const MEASUREMENTS = 3;

// What else a machine does only adds to a time, so that the quick ones tell most.
function quickFifth(values: number[]): number {
  return values.sort((a, b) => a - b)[Math.floor(values.length / 5)] ?? 0;
}

it("measured in turns, the two differ by less than a tenth", async (t) => {
  const { setUp, identity, owner } = await openIdentity(t);
  assert.equal(await setUp("first@example.test"), "made");
  let network = 0;
  const time = async (email: string): Promise<number> => {
    await owner`delete from x3sproxy.account_attempts`;
    const client = clientAt(`network ${network++}`);
    const startMs = performance.now();
    await assert.rejects(identity.signIn({ email, password: "not the password" }, client), {
      code: "sign_in_refused",
    });
    return performance.now() - startMs;
  };
  const measured: string[] = [];
  for (let measurement = 0; measurement < MEASUREMENTS; measurement++) {
    const known: number[] = [];
    const unknown: number[] = [];
    for (let i = 0; i < ROUNDS; i++) {
      known.push(await time("first@example.test"));
      unknown.push(await time("nobody@example.test"));
    }
    const [a, b] = [quickFifth(known), quickFifth(unknown)];
    measured.push(`${a.toFixed(2)} ms and ${b.toFixed(2)} ms`);
    if (a / b > 0.9 && a / b < 1.1) {
      t.diagnostic(measured.join("; "));
      return;
    }
  }
  assert.fail(measured.join("; "));
});
