import assert from "node:assert/strict";
import { it } from "node:test";
import { openCli } from "./fixture.ts";

interface Template {
  name: string;
  rules: string[];
}

it("scope and deploy take a template's rules, in place of those that were there", async (t) => {
  const { run, json, call } = await openCli(t);
  const { body } = await call("GET", "/api/v1/scope-templates");
  const { templates } = body as unknown as { templates: Template[] };
  const [first, second] = templates;
  assert.ok(first && second);
  await json(["agent", "deploy", "coder", "--template", first.name, "--model", "claude-*"]);
  const { stdout } = await run(["agent", "scope", "coder", "--json"]);
  assert.partialDeepStrictEqual(JSON.parse(stdout), { rules: first.rules, models: ["claude-*"] });
  const changed = await json(["agent", "scope", "coder", "--template", second.name]);
  assert.partialDeepStrictEqual(changed, { rules: second.rules, models: ["claude-*"] });
});

it("with --rule it is wrong usage, and an unknown one says which there are", async (t) => {
  const { run, json } = await openCli(t);
  await json(["agent", "deploy", "coder"]);
  for (const command of ["scope", "deploy"]) {
    const both = ["agent", command, "coder", "--template", "chat-only", "--rule", "GET /openai/**"];
    assert.equal((await run(both)).status, 2, command);
    const unknown = await run(["agent", command, "coder", "--template", "nothing"]);
    assert.equal(unknown.status, 1, command);
    assert.match(unknown.stderr, /chat-only, embeddings-only, everything-but-files-and-admin/);
  }
  const { stdout } = await run(["agent", "scope", "coder", "--json"]);
  assert.partialDeepStrictEqual(JSON.parse(stdout), { rules: null, deployment: 1 });
});
