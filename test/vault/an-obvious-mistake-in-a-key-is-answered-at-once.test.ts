import assert from "node:assert/strict";
import test from "node:test";
import { RequestError } from "../../src/platform/errors.ts";
import { openSecrets } from "./database-fixture.ts";
import { FAKE_KEY } from "./fixture.ts";
import { actorIn } from "../support/actor.ts";

const MISTAKES: [code: string, provider: string, value: string][] = [
  ["key_empty", "anthropic", ""],
  ["key_empty", "anthropic", " \n"],
  ["key_has_whitespace", "anthropic", `${FAKE_KEY}\n`],
  ["key_has_whitespace", "anthropic", ` ${FAKE_KEY}`],
  ["key_has_whitespace", "anthropic", FAKE_KEY.replace("FAKE", "FA\r\nKE")],
  ["key_has_whitespace", "anthropic", FAKE_KEY.replace("FAKE", "FA\u00a0KE")],
  ["key_has_whitespace", "anthropic", `Bearer ${FAKE_KEY}`],
  ["key_has_quotes", "anthropic", `"${FAKE_KEY}"`],
  ["key_has_odd_characters", "anthropic", "sk-ant-api03-FAKE…wxyz"],
  ["key_has_odd_characters", "anthropic", FAKE_KEY.replace("FAKE", "FA\u0000KE")],
  ["key_has_odd_characters", "anthropic", FAKE_KEY.replace("FAKE", "FA\u200bKE")],
  ["key_too_long", "anthropic", `sk-ant-api03-FAKE${"x".repeat(4096)}`],
  ["key_is_ours", "anthropic", "x3sproxy_FAKEFAKEFAKEFAKEFAKEFAKEFAKEFAKE"],
  ["key_is_ours", "openai", "x3skey_FAKEFAKEFAKEFAKEFAKEFAKEFAKEFAKE\n"],
  ["key_is_ours", "openai", "OPENAI_API_KEY=x3sproxy_FAKEFAKEFAKEFAKEFAKEFAKEFAKEFAKE"],
  ["key_is_ours", "openai", "x3sreg_FAKEFAKEFAKEFAKEFAKEFAKEFAKEFAKE"],
  ["key_is_ours", "openai", "x3ssetup_FAKEFAKEFAKEFAKEFAKEFAKEFAKEFAKE"],
  ["key_of_other_provider", "openai", FAKE_KEY],
  [
    "key_of_other_provider",
    "anthropic",
    "gsk_FAKE0123456789abcdefghijklmnopqrstuvwxyz0123456789ab",
  ],
];

test("a mistaken key is refused with its own code, in words that don't repeat it, and nothing is kept", async (t) => {
  const { secrets, workspaceId, owner } = await openSecrets(t);
  for (const [code, provider, value] of MISTAKES) {
    await assert.rejects(
      secrets.set(actorIn(workspaceId), { provider, environment: "production", value }),
      (error) => {
        assert.ok(error instanceof RequestError);
        assert.deepEqual([error.status, error.code], [422, code], JSON.stringify(value));
        assert.ok(error.message.length > 20);
        if (value.trim() !== "") assert.ok(!error.message.includes(value.trim().slice(0, 14)));
        return true;
      },
    );
  }
  assert.deepEqual([...(await owner`select * from x3sproxy.secrets`)], []);
});

test("a good key passes, and the longest one", async (t) => {
  const { secrets, workspaceId } = await openSecrets(t);
  for (const value of [FAKE_KEY, `sk-ant-api03-FAKE${"x".repeat(4096 - 17)}`]) {
    await secrets.set(actorIn(workspaceId), {
      provider: "anthropic",
      environment: "production",
      value,
    });
  }
});

test("a key in a field that is kept in the open is refused and not repeated", async (t) => {
  const { secrets, workspaceId } = await openSecrets(t);
  const base = { provider: "anthropic", environment: "production", value: FAKE_KEY };
  const refused: [Partial<typeof base> & { label?: string }, number, string][] = [
    [{ label: `key ${FAKE_KEY}` }, 422, "label_has_key"],
    [{ label: "two\nlines" }, 422, "label_malformed"],
    [{ label: "x".repeat(201) }, 422, "label_malformed"],
    [{ environment: FAKE_KEY.toUpperCase() }, 422, "environment_malformed"],
    [{ environment: "" }, 422, "environment_malformed"],
    [{ environment: "-x" }, 422, "environment_malformed"],
    [{ environment: "x".repeat(64) }, 422, "environment_malformed"],
    [{ environment: "production\n" }, 422, "environment_malformed"],
    [{ provider: FAKE_KEY }, 404, "provider_unknown"],
  ];
  for (const [change, status, code] of refused) {
    await assert.rejects(secrets.set(actorIn(workspaceId), { ...base, ...change }), (error) => {
      assert.ok(error instanceof RequestError);
      assert.deepEqual([error.status, error.code], [status, code]);
      assert.ok(!error.message.toLowerCase().includes(FAKE_KEY.toLowerCase()));
      return true;
    });
  }
});
