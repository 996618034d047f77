// A database with a workspace and its secrets, for the vault's tests.
import { randomUUID } from "node:crypto";
import type { TestContext } from "node:test";
import postgres from "postgres";
import { createPool } from "../../src/db/index.ts";
import {
  createSecrets,
  createVault,
  verifyMasterKeys,
  type HeldSecret,
  type SealedSecret,
} from "../../src/vault/index.ts";
import { createTestDatabase } from "../support/database.ts";
import { ringOf } from "./fixture.ts";

/** A migrated database with a verified master key, one workspace, and its secrets. Dropped when the test ends. */
export async function openSecrets(
  t: TestContext,
  o: {
    originOverrides?: ReadonlyMap<string, string>;
    originProblem?: (origin: string) => string | undefined;
  } = {},
) {
  const database = await createTestDatabase();
  const owner = postgres(database.ownerUrl, { max: 2, onnotice: () => undefined });
  const pool = createPool(database.controlUrl);
  t.after(async () => {
    await pool.close();
    await owner.end();
    await database.drop();
  });
  const key = await ringOf(database.masterKey);
  await verifyMasterKeys(database.ownerUrl, key);
  const vault = await createVault(key);
  const secrets = createSecrets({
    pool,
    vault,
    originOverrides: o.originOverrides ?? new Map(),
    originProblem: o.originProblem ?? (() => undefined),
  });
  const addWorkspace = async (name: string): Promise<string> => {
    const id = randomUUID();
    await owner`insert into x3sproxy.workspaces (id, name) values (${id}, ${name})`;
    return id;
  };
  /** The active version of a secret, as the database has it now. */
  const holdFromDatabase = async (secretId: string): Promise<HeldSecret> => {
    const [row] = await owner<SealedSecret[]>`
      select v.secret_id as "secretId", v.version, v.workspace_id as "workspaceId", s.provider, v.origin,
        v.header, v.scheme, v.key_id as "keyId", v.wrapped_key as "wrappedKey", v.ciphertext
      from x3sproxy.secrets s
      join x3sproxy.secret_versions v on v.secret_id = s.id and v.version = s.active_version
      where s.id = ${secretId}`;
    if (row === undefined) throw new Error("no such secret in the database");
    return vault.hold(row);
  };
  const workspaceId = await addWorkspace("first");
  return { database, owner, pool, vault, secrets, workspaceId, addWorkspace, holdFromDatabase };
}
