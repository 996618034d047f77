import assert from "node:assert/strict";
import { test } from "node:test";
import { migrate } from "../../src/db/index.ts";
import { ConfigError } from "../../src/platform/errors.ts";
import { serverUrl, urlOfDatabase } from "../support/database.ts";
import { createTcpGate } from "../support/tcp-gate.ts";

async function refusal(url: string): Promise<string> {
  const error = await migrate(url).then(
    () => assert.fail("was let in"),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof ConfigError, String(error));
  assert.ok(!error.message.includes(new URL(url).password), "the password is not in the message");
  return error.message;
}

test("a wrong password", async () => {
  const url = Object.assign(new URL(serverUrl()), { password: "fake-wrong-password" }).href;
  assert.match(await refusal(url), /doesn't accept this user and password \(28P01\)/);
});

test("a database that is not there", async () => {
  assert.match(await refusal(urlOfDatabase(serverUrl(), "nowhere")), /has no such database/);
});

test("a server that is not there, and one that hangs up", async () => {
  const gate = await createTcpGate(serverUrl());
  await gate.set("refuse");
  assert.match(await refusal(gate.url), /can't be reached or used \(ECONNREFUSED\)/);
  await gate.set("hang-up");
  assert.match(await refusal(gate.url), /can't be reached or used \(CONNECTION_CLOSED\)/);
  await gate.close();
});
