import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createCounter, limitedGrant, type Counter, type Refused } from "./limited.ts";

const MINUTE_MS = 60_000;
const limits = fc.oneof(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 101, max: 100_000 }));
/** What docs/scopes.md says. */
const burstOf = (limit: number): number => Math.ceil(limit / 6);

const grantOf = (place: "agent" | "workspace", requestsPerMinute: number) =>
  limitedGrant({ [place]: { requestsPerMinute } });
const places = fc.constantFrom("agent" as const, "workspace" as const);

/** Lets one call in and out; how it was refused, if it was. */
function call(counter: Counter, grant: ReturnType<typeof grantOf>): Refused | undefined {
  const entered = counter.enter(grant);
  if (entered.reason !== undefined) return entered;
  entered.end();
  return undefined;
}

test("in any minute no more than the limit and its burst pass, however calls come", () => {
  fc.assert(
    fc.property(
      places,
      fc.integer({ min: 1, max: 120 }),
      fc.array(
        fc.record({
          // Rushes, pauses, and whatever is between.
          pauseMs: fc.oneof(fc.constant(0), fc.nat(2000), fc.nat(90_000)),
          calls: fc.integer({ min: 1, max: 60 }),
        }),
        { minLength: 1, maxLength: 30 },
      ),
      (place, limit, rushes) => {
        const counter = createCounter();
        const grant = grantOf(place, limit);
        const passedMs: number[] = [];
        let nowMs = 0;
        for (const { pauseMs, calls } of rushes) {
          counter.advance(pauseMs);
          nowMs += pauseMs;
          for (let i = 0; i < calls; i++) {
            if (call(counter, grant) === undefined) passedMs.push(nowMs);
          }
        }
        for (const [i, fromMs] of passedMs.entries()) {
          const within = passedMs.slice(i).filter((ms) => ms - fromMs < MINUTE_MS).length;
          assert.ok(within <= limit + burstOf(limit), `${within} in a minute, limit ${limit}`);
        }
      },
    ),
  );
});

test("whoever keeps to the limit is never refused, from whichever moment on", () => {
  fc.assert(
    fc.property(
      places,
      limits,
      fc.double({ min: 0, max: 1e6, noNaN: true }),
      (place, limit, at) => {
        const counter = createCounter();
        const grant = grantOf(place, limit);
        counter.advance(at);
        for (let i = 0; i < 500; i++) {
          assert.equal(call(counter, grant), undefined, `call ${i}`);
          counter.advance(MINUTE_MS / limit);
        }
      },
    ),
  );
});

test("a rush of the burst passes at once, and what comes after it evenly", () => {
  fc.assert(
    fc.property(places, limits, (place, limit) => {
      const counter = createCounter();
      const grant = grantOf(place, limit);
      for (let i = 0; i < burstOf(limit); i++) assert.equal(call(counter, grant), undefined);
      for (let i = 0; i < 20; i++) {
        assert.equal(call(counter, grant)?.reason, "rate_limited");
        counter.advance(MINUTE_MS / limit);
        assert.equal(call(counter, grant), undefined);
      }
    }),
  );
});

test("Retry-After is the time after which a call passes, in whole seconds and no longer than that", () => {
  fc.assert(
    fc.property(places, fc.integer({ min: 1, max: 59 }), fc.nat(5000), (place, limit, laterMs) => {
      const counter = createCounter();
      const grant = grantOf(place, limit);
      while (call(counter, grant) === undefined);
      counter.advance(laterMs);
      for (let i = 0; i < 3; i++) {
        const refused = call(counter, grant);
        if (refused === undefined) return; // which the pause was long enough for
        const { retryAfterS } = refused;
        assert.ok(Number.isInteger(retryAfterS) && retryAfterS >= 1 && retryAfterS <= 60);
        counter.advance((retryAfterS - 1) * 1000);
        assert.equal(call(counter, grant)?.reason, "rate_limited", "a second early");
        counter.advance(1000);
        assert.equal(call(counter, grant), undefined);
      }
    }),
  );
});
