// A bootstrapped database and the identity room over its control login.
import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import postgres from "postgres";
import type { Clock } from "../../src/platform/clock.ts";
import { createPool } from "../../src/db/index.ts";
import { bootstrap, createIdentity, type Client } from "../../src/identity/index.ts";
import { createVault, loadMasterKeys, verifyMasterKeys } from "../../src/vault/index.ts";
import { createTestDatabase } from "../support/database.ts";

export const PASSWORD = "correct horse battery";
export const CLIENT: Client = { address: "192.0.2.1", network: "192.0.2.1", userAgent: "test" };

/** A client in its own network. */
export function clientAt(address: string): Client {
  return { address, network: address, userAgent: "test" };
}

/** Dropped when the test ends. */
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
  const masterKey = await loadMasterKeys(
    { masterKey: { value: database.masterKey }, dataDir: "/nowhere", databaseUrl: undefined },
    { mayCreate: false },
  );
  await verifyMasterKeys(ownerUrl, masterKey);
  const vault = await createVault(masterKey);
  const clock: Clock = { nowMs: () => Date.now(), monotonicMs: () => performance.now() };
  const identity = createIdentity({ pool, vault, clock });
  /** Tries to make a user; answers "made" or the code of the refusal. */
  const setUp = (email: string, token = setupToken, password = PASSWORD): Promise<string> =>
    identity.links.setUp({ token, email, password }, CLIENT).then(
      () => "made",
      (error: unknown) => (error as { code: string }).code,
    );
  return {
    ...{ ownerUrl, controlUrl, owner, pool, vault, clock, identity },
    ...{ workspaceId, apiKey, setupToken, setUp },
  };
}
