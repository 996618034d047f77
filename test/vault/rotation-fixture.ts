// A database with values under a first master key, and processes that hold it beside others.
import { randomBytes, randomUUID } from "node:crypto";
import type { TestContext } from "node:test";
import postgres from "postgres";
import { systemClock } from "../../src/platform/clock.ts";
import { createPool } from "../../src/db/index.ts";
import { newProcessId } from "../../src/platform/ids.ts";
import { bootstrap } from "../../src/identity/index.ts";
import { createLog } from "../../src/platform/log.ts";
import {
  createKeyRotation,
  createMasterKeys,
  createVault,
  KeyRing,
  MasterKey,
  openDerivation,
  openLogSigner,
  verifyMasterKeys,
  type SealedSecret,
} from "../../src/vault/index.ts";
import { createTestDatabase } from "../support/database.ts";
import { sent } from "./fixture.ts";

export const SEED = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

/** Makes the same key for several key rings. */
export function keyMaker(bytes = randomBytes(32)) {
  const make = (): MasterKey => new MasterKey(Buffer.from(bytes));
  return { id: make().id, make };
}
export type KeyMaker = ReturnType<typeof keyMaker>;

/** A database to rotate keys in. Everything is removed when the test ends. */
export async function openRotation(t: TestContext) {
  const database = await createTestDatabase();
  const { ownerUrl } = database;
  const owner = postgres(ownerUrl, { max: 2, onnotice: () => undefined });
  const pool = createPool(database.controlUrl);
  const closers: (() => Promise<void>)[] = [];
  t.after(async () => {
    for (const close of closers) await close();
    await pool.close();
    await owner.end();
    await database.drop();
  });
  const { workspaceId } = await bootstrap(ownerUrl, { makeApiKey: false });
  const lines: string[] = [];
  const log = createLog({ level: "info", destination: { write: (line) => void lines.push(line) } });
  const masterKeys = createMasterKeys({ pool });

  /** Starts a process with these keys. `pass` advances its clock. */
  async function startProcess(...keys: KeyMaker[]) {
    const ring = new KeyRing(keys.map(({ make }) => make()));
    const processId = newProcessId();
    await verifyMasterKeys(ownerUrl, ring, { processId });
    let passedMs = 0;
    const clock = {
      nowMs: () => systemClock.nowMs(),
      monotonicMs: () => systemClock.monotonicMs() + passedMs,
    };
    const rotation = createKeyRotation({
      ...{ pool, ownerUrl, ring, processId, homeId: workspaceId, clock, log },
    });
    let open = true;
    const stop = async (): Promise<void> => {
      if (open) await rotation.close();
      open = false;
    };
    closers.push(stop);
    const vault = await createVault(ring, await openDerivation(ownerUrl, ring));
    return {
      ...{ ring, processId, vault, rotation, stop },
      signer: await openLogSigner(ownerUrl, ring),
      pass: (ms: number) => void (passedMs += ms),
      /** Whether its report is settled: two reports, and the time between. */
      async settle(): Promise<void> {
        await rotation.run();
        await rotation.run();
        passedMs += 10_000;
        await rotation.run();
      },
    };
  }
  type Process = Awaited<ReturnType<typeof startProcess>>;

  /** Adds secrets that the process seals; returns their values by id. */
  async function addSecrets(by: Pick<Process, "vault">, count: number) {
    const values = new Map<string, string>();
    const tag = randomUUID().slice(0, 8);
    await owner.begin(async (sql) => {
      for (let i = 0; i < count; i += 1) {
        const place = {
          ...{ workspaceId, secretId: randomUUID(), version: 1 },
          ...{ origin: "https://api.anthropic.com", header: "x-api-key", scheme: "" },
        };
        const value = `sk-ant-api03-FAKE-${tag}-${i}-wxyz`;
        const { keyId, wrappedKey, ciphertext } = by.vault.seal(place, value);
        await sql`
          insert into x3sproxy.secrets (id, workspace_id, provider, environment, active_version)
          values (${place.secretId}, ${workspaceId}, 'anthropic', ${`e-${tag}-${i}`}, 1)`;
        await sql`
          insert into x3sproxy.secret_versions
            (secret_id, workspace_id, version, origin, header, scheme, key_id, wrapped_key, ciphertext, mask)
          values (${place.secretId}, ${workspaceId}, 1, ${place.origin}, ${place.header}, ${place.scheme}, ${keyId}, ${wrappedKey}, ${ciphertext}, '…')`;
        values.set(place.secretId, value);
      }
    });
    return values;
  }

  async function addSecondFactor(by: Pick<Process, "vault">): Promise<string> {
    const userId = randomUUID();
    const { keyId, wrappedKey, ciphertext } = by.vault.sealSeed({ workspaceId, userId }, SEED);
    await owner`
      insert into x3sproxy.users (id, workspace_id, email, password_hash, role)
      values (${userId}, ${workspaceId}, ${`${userId}@example.test`}, 'x', 'viewer')`;
    await owner`
      insert into x3sproxy.second_factors (user_id, workspace_id, key_id, wrapped_key, ciphertext, newest_step)
      values (${userId}, ${workspaceId}, ${keyId}, ${wrappedKey}, ${ciphertext}, 0)`;
    return userId;
  }

  async function secretRow(id: string): Promise<SealedSecret> {
    const [row] = await owner<SealedSecret[]>`
      select v.secret_id as "secretId", v.version, v.workspace_id as "workspaceId", 'anthropic' as provider, v.origin,
        v.header, v.scheme, v.key_id as "keyId", v.wrapped_key as "wrappedKey", v.ciphertext
      from x3sproxy.secret_versions v where v.secret_id = ${id} order by v.version desc limit 1`;
    if (row === undefined) throw new Error("no such secret in the database");
    return row;
  }

  /** What a process would send for a secret in the database. */
  const sentBy = async ({ vault }: Pick<Process, "vault">, id: string) =>
    sent(vault, vault.hold(await secretRow(id)));

  /** The ids of the keys under which something is sealed, in all tables with such a column. */
  async function keysInUse(): Promise<string[]> {
    const tables = await owner<{ name: string }[]>`
      select table_name as name from information_schema.columns
      where table_schema = 'x3sproxy' and column_name = 'wrapped_key'`;
    const found = new Set<string>();
    for (const { name } of tables) {
      for (const row of await owner`select distinct key_id from x3sproxy.${owner(name)}`) {
        found.add(String(row["key_id"]));
      }
    }
    return [...found].sort();
  }

  return {
    ...{ database, owner, pool, workspaceId, masterKeys, lines },
    ...{ startProcess, addSecrets, addSecondFactor, secretRow, sentBy, keysInUse },
  };
}
