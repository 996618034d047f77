import assert from "node:assert/strict";
import { it } from "node:test";
import { openCli } from "./fixture.ts";

it("a misspelt provider is told the likely one, and a wrong option by its name", async (t) => {
  const { run } = await openCli(t);
  const cases: [string[], RegExp][] = [
    [["secret", "set", "opnai"], /There is no such provider\. Did you mean openai\? Known are: /],
    [["secret", "set", "nothing-near"], /There is no such provider\. Known are: /],
    [
      ["agent", "deploy", "coder", "--providers", "antrophic"],
      /no provider is called that\. Did you mean anthropic\? There are: /,
    ],
    [
      ["agent", "deploy", "coder", "--requests-per-minute", "ten"],
      /option '--requests-per-minute <n>' argument 'ten' is invalid/,
    ],
  ];
  for (const [args, words] of cases) {
    assert.match((await run(args, "FAKE-key-of-the-test-0001")).stderr, words);
  }
});
