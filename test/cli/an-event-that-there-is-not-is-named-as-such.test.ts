// A misspelt event would find nothing, as if nothing had been done.
import assert from "node:assert/strict";
import { it } from "node:test";
import { openCli } from "./fixture.ts";

it("an event that there is not is told so, with the one that is likely meant, and a time with an example", async (t) => {
  const { run } = await openCli(t);
  const cases: [string[], RegExp][] = [
    [["--action", "secret.sett"], /action: there is no such event; did you mean secret\.set\?/],
    [["--action", "agent-deploy"], /did you mean agent\.deploy\?/],
    [["--action", "sign_in"], /did you mean user\.sign_in\?/],
    [["--action", "xyzzy"], /action: there is no such event; docs\/audit-events\.md has all/],
    [["--from", "yesterday"], /from: give a time as in 2027-01-31T12:00:00Z\.$/m],
    [["--to", "2027-01-31"], /to: give a time as in 2027-01-31T12:00:00Z\.$/m],
  ];
  for (const [args, words] of cases) {
    const { status, stdout, stderr } = await run(["audit", "export", ...args]);
    assert.equal(status, 1, args.join(" "));
    assert.match(stderr, words);
    assert.equal(stdout, "");
  }
});
