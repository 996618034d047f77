import assert from "node:assert/strict";
import { it } from "node:test";
import fc from "fast-check";
import { escapeHidden as escapedByDashboard } from "../../src/dashboard/visible-text.ts";
import { escapeHidden, VISIBLE_LINE } from "../../src/platform/visible-text.ts";
import { FAKE_KEY, openAdmin } from "../admin/fixture.ts";
import { runCli } from "../cli/fixture.ts";
import { inputs } from "../support/generated.ts";

// All that Unicode says is not shown, or changes the direction of the rest; selectors of a form are a part of what they follow.
const HIDDEN =
  /^[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}\p{Default_Ignorable_Code_Point}\ufff9-\ufffb]$/u;
const SELECTORS = /^[\u180b-\u180d\u180f\ufe00-\ufe0f]$/u;

it("each character that is not seen is refused in a line, and shown by its number", () => {
  for (let code = 0; code <= 0x10ffff; code += 1) {
    const character = String.fromCodePoint(code);
    const isHidden = HIDDEN.test(character) && !SELECTORS.test(character);
    const name = code.toString(16);
    assert.equal(VISIBLE_LINE.test(character), !isHidden, name);
    const shown = escapeHidden(character);
    assert.equal(shown === character, !isHidden || character === "\n", name);
    assert.equal(escapedByDashboard(character), shown, name);
    if (shown !== character) assert.match(shown, /^(\\u[0-9a-f]{4})+$/, name);
  }
});

it("whatever is around them; and in JSON the value stays the same", () => {
  const text = fc.array(
    fc.oneof(fc.string({ unit: "binary" }), fc.constantFrom("\u202e", "\ud800", "\udc00", "\n")),
  );
  fc.assert(
    fc.property(
      text.map((parts) => parts.join("")),
      (given) => {
        assert.ok(
          escapeHidden(given)
            .split("\n")
            .every((line) => VISIBLE_LINE.test(line)),
        );
        assert.equal(escapedByDashboard(given), escapeHidden(given));
        assert.equal(JSON.parse(escapeHidden(JSON.stringify(given))), given);
      },
    ),
    inputs(20_261_130, 500),
  );
});

it("they are refused in names and labels, and what is there already is escaped by the command line", async (t) => {
  const admin = await openAdmin(t);
  const { call, owner } = admin;
  const odd = "staging\u202egnidart";
  for (const [method, path, body, field] of [
    ["PUT", "secrets", { provider: "openai", value: FAKE_KEY, label: odd }, "label"],
    ["POST", "api-keys", { name: odd, role: "viewer" }, "name"],
    ["POST", "agents/one/deployments", { models: [odd] }, "models.0"],
    ["POST", "agents/one/deployments", { rules: [`GET /openai/${odd}`] }, "rules.0"],
    ["PUT", "providers/own", { origin: "https://a.example.com", header: odd }, "header"],
    ["PUT", "providers/own", { origin: "https://a.example.com", scheme: odd }, "scheme"],
  ] as const) {
    const { status, text, body: problem } = await call(method, `/api/v1/${path}`, body);
    assert.equal(status, 422, text);
    assert.equal(problem["detail"], `${field}: give one line of visible characters.`);
  }
  await call("PUT", "/api/v1/secrets", { provider: "openai", value: FAKE_KEY, label: "good" });
  await owner`update x3sproxy.secrets set label = ${odd}`;
  const environment = { X3SPROXY_ADMIN_URL: admin.url, X3SPROXY_API_KEY: admin.apiKey };
  const shown = await runCli(["secret", "list"], { environment });
  assert.match(shown.stdout, /staging\\u202egnidart$/m);
  const json = await runCli(["secret", "list", "--json"], { environment });
  assert.ok(!json.stdout.includes("\u202e"));
  assert.deepEqual(
    (JSON.parse(json.stdout) as { label: string }[]).map(({ label }) => label),
    [odd],
  );
});
