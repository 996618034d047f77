// A bootstrapped database and the identity room over its control login.
import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import postgres from "postgres";
import { createPool } from "../../src/db/index.ts";
import { bootstrap, createIdentity } from "../../src/identity/index.ts";
import { createTestDatabase } from "../support/database.ts";

export const PASSWORD = "correct horse battery";

/** Gone when the test ends. */
export async function openIdentity(t: TestContext) {
  const database = await createTestDatabase();
  const { ownerUrl, controlUrl } = database;
  const owner = postgres(ownerUrl, { max: 2, onnotice: () => undefined });
  const pool = createPool(controlUrl);
  t.after(async () => {
    await pool.close();
    await owner.end();
    await database.drop();
  });
  const { workspaceId, apiKey, setupToken } = await bootstrap(ownerUrl, { makeApiKey: true });
  assert.ok(apiKey !== undefined && setupToken !== undefined);
  const identity = createIdentity({ pool });
  /** Tries to make a user; answers "made" or the code of the refusal. */
  const setUp = (email: string, token = setupToken, password = PASSWORD): Promise<string> =>
    identity.createFirstUser({ setupToken: token, email, password }).then(
      () => "made",
      (error: unknown) => (error as { code: string }).code,
    );
  return { ownerUrl, owner, identity, workspaceId, apiKey, setupToken, setUp };
}
