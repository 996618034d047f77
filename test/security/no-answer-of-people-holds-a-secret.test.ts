// After a full set-up, what any caller can read is searched for all that must never be read: every password, seed, code, session,
// link and key that there is, and every hash and sealed value of them in the database.
import assert from "node:assert/strict";
import { it } from "node:test";
import { Secret } from "otpauth";
import { ROUTES } from "../../src/contract/index.ts";
import { FAKE_KEY, stringAt, type Answer } from "../admin/fixture.ts";
import { PASSWORD, openPeople, tokenOf } from "../admin/people.ts";

/** The forms in which bytes could stand in an answer. */
function formsOf(bytes: Buffer): string[] {
  return [
    bytes.toString("latin1"),
    bytes.toString("hex"),
    ...[0, 1, 2].flatMap((shift) => {
      const whole = Buffer.concat([Buffer.alloc(shift), bytes]);
      return [whole.toString("base64"), whole.toString("base64url")].map((it) => it.slice(4, -4));
    }),
  ];
}

/** Of every GET route. */
const READ_PATHS = Object.keys(ROUTES)
  .filter((route) => route.startsWith("GET "))
  .map((route) => route.slice(4));

it("no GET answer, header or log line has any of it", async (t) => {
  const { first, join, browse, enrol, owner, apiKey, setupToken, workspaceId, log, call, ownerId } =
    await openPeople(t);
  const known = new Map<string, Buffer>();
  const keep = (name: string, value: string | Buffer) =>
    known.set(name, typeof value === "string" ? Buffer.from(value) : value);

  const { phone, recoveryCodes } = await enrol(first);
  const worker = await join("worker@example.test", "operator", ["coder"]);
  const invited = await first.call("POST", "/invitations", {
    email: "a@example.test",
    role: "viewer",
  });
  const reset = await first.call("POST", `/users/${worker.id}/reset`, { secondFactor: true });
  const made = await first.call("POST", "/api-keys", { name: "ci", role: "owner" });
  await first.call("PUT", "/secrets", { provider: "openai", value: FAKE_KEY });
  const deployed = await first.call("POST", "/agents/coder/deployments", {});
  await browse().signIn("worker@example.test", "a wrong password FAKE");
  await browse().signIn("first@example.test", PASSWORD, recoveryCodes[0]);

  keep("password", PASSWORD);
  keep("wrong password", "a wrong password FAKE");
  keep("seed", phone.seed);
  keep("seed's bytes", Buffer.from(Secret.fromBase32(phone.seed).bytes));
  recoveryCodes.forEach((code, i) => {
    keep(`recovery code ${i}`, code);
    keep(`recovery code ${i}, bare`, code.replaceAll("-", ""));
  });
  keep("session", first.cookie() ?? "");
  keep("worker's session", worker.browser.cookie() ?? "");
  keep("invitation", tokenOf(invited));
  keep("reset", tokenOf(reset));
  keep("setup", setupToken);
  keep("API key", stringAt(made, "key"));
  keep("bootstrap key", apiKey);
  keep("proxy token", stringAt(deployed, "token"));
  keep("provider key", FAKE_KEY);
  const columns = await owner<{ table: string; column: string }[]>`
    select table_name as table, column_name as column from information_schema.columns
    where table_schema = 'x3sproxy' and (data_type = 'bytea' or column_name in ('password_hash'))`;
  assert.ok(columns.length >= 15, "the enumeration found the columns");
  for (const { table, column } of columns) {
    const rows = await owner.unsafe(`select "${column}" as value from x3sproxy."${table}"`);
    rows.forEach((row, i) => {
      const value = row["value"] as string | Buffer;
      if (value.length > 0) keep(`${table}.${column} ${i}`, value);
    });
  }
  for (const wanted of [
    "second_factors.ciphertext 0",
    "recovery_codes.hash 0",
    "sessions.hash 0",
  ]) {
    assert.ok(known.has(wanted), wanted);
  }

  const { body } = await first.call("GET", "/secrets");
  const [secret] = body["secrets"] as { id: string }[];
  const names: Readonly<Record<string, string>> = {
    "/secrets/:id": secret?.id ?? "",
    "/agents/:name": "coder",
  };
  const paths = READ_PATHS.map((path) =>
    path.replace(/^(\/\w+\/:\w+)/, (start) => start.replace(/:\w+$/, names[start] ?? ownerId)),
  );
  assert.ok(paths.includes("/me/sessions") && paths.includes(`/secrets/${secret?.id}/versions`));
  const answers: Answer[] = [];
  for (const path of [...paths, "/users?limit=1", "/api-keys?limit=1"]) {
    answers.push(await first.call("GET", path), await worker.browser.call("GET", path));
    answers.push(await call("GET", `/api/v1${path}`));
  }
  const text = [
    ...answers.map((answer) => answer.text + JSON.stringify([...answer.headers])),
    ...log,
  ].join("\n");
  assert.ok(text.includes(workspaceId) && text.includes("worker@example.test"));
  for (const [name, bytes] of known) {
    for (const form of formsOf(bytes)) {
      if (form.length >= 6) assert.ok(!text.includes(form), `${name}: ${answers.length} answers`);
    }
  }
});
