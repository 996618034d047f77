// The dashboard's clock: by the Date of the answers, whatever the browser's machine says.
import assert from "node:assert/strict";
import { it, mock } from "node:test";
import fc from "fast-check";
import { currentMs, isoOfLocal, localOfIso, setClockBy } from "../../src/dashboard/time.ts";

const START_MS = Date.parse("2026-11-30T12:00:00.250Z");
const DAY_MS = 86_400_000;

it("is as far off as an answer took at most, or a second, however wrong the machine's is", () => {
  mock.timers.enable({ apis: ["Date"], now: 0 });
  try {
    fc.assert(
      fc.property(
        fc.integer({ min: -400 * DAY_MS, max: 400 * DAY_MS }),
        fc.array(
          fc.record({
            restMs: fc.integer({ min: 0, max: 60_000 }),
            thereMs: fc.integer({ min: 0, max: 3000 }),
            backMs: fc.integer({ min: 0, max: 3000 }),
          }),
          { minLength: 1, maxLength: 6 },
        ),
        (wrongByMs, answers) => {
          let nowMs = START_MS;
          const machineAt = (ms: number) => mock.timers.setTime(ms + wrongByMs);
          for (const { restMs, thereMs, backMs } of answers) {
            nowMs += restMs;
            const sentMs = nowMs + wrongByMs;
            const writtenMs = nowMs + thereMs;
            nowMs = writtenMs + backMs;
            machineAt(nowMs);
            setClockBy(new Date(writtenMs).toUTCString(), sentMs);
            assert.ok(Math.abs(currentMs() - nowMs) <= thereMs + backMs + 1000);
          }
        },
      ),
      { seed: 1419, numRuns: 300 },
    );
    for (const date of [null, "", "yesterday", "Mon"]) {
      const before = currentMs();
      setClockBy(date, before);
      assert.equal(currentMs(), before, String(date));
    }
  } finally {
    mock.timers.reset();
  }
});

it("a time that a field holds is the same when it comes back from a link", () => {
  const years = fc.date({
    min: new Date("0003-01-01T00:00:00Z"),
    max: new Date("9998-01-01T00:00:00Z"),
    noInvalidDate: true,
  });
  fc.assert(
    fc.property(years, (date) => {
      const local = localOfIso(date.toISOString());
      assert.match(local, /^\d{4}-\d\d-\d\dT\d\d:\d\d$/);
      const iso = isoOfLocal(local);
      assert.match(iso ?? "", /Z$/);
      assert.equal(localOfIso(iso ?? null), local);
    }),
    { seed: 1419, numRuns: 500 },
  );
  for (const none of [null, "", "now", "2026-99-99T00:00"]) assert.equal(localOfIso(none), "");
});
