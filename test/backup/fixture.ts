// Backups for tests: made by a real control plane, opened, taken apart, and restored into separate databases.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import type { TestContext } from "node:test";
import {
  newIdentity,
  openStream,
  readContainer,
  type Contents,
  type OpenBackup,
} from "../../src/backup/index.ts";
import { readConfig } from "../../src/platform/config.ts";
import { withOwner } from "../../src/db/index.ts";
import { createLog } from "../../src/platform/log.ts";
import { restoreBackup } from "../../src/installation.ts";
import { openAdmin } from "../admin/fixture.ts";
import { serverUrl, urlOfDatabase } from "../support/database.ts";

export type Admin = Awaited<ReturnType<typeof openAdmin>>;

/** An empty database, dropped when the test ends. */
export async function createEmptyDatabase(t: TestContext): Promise<string> {
  const name = `test_${randomBytes(8).toString("hex")}`;
  await withOwner(serverUrl(), (sql) => sql`create database ${sql(name)}`);
  t.after(() =>
    withOwner(serverUrl(), async (sql) => {
      await sql`drop database ${sql(name)} with (force)`;
      for (const role of await sql<{ rolname: string }[]>`
        select rolname from pg_roles where rolname ~ '^x3sproxy_(control|proxy)_' and rolname in
          (select 'x3sproxy_' || kind || '_' || left(encode(sha256(${name}::bytea), 'hex'), 8)
           from unnest(array['control', 'proxy']) kind)`)
        await sql`drop role ${sql(role.rolname)}`;
    }),
  );
  return urlOfDatabase(serverUrl(), name);
}

/** Makes a backup of `admin` over REST. */
export async function backUp(admin: Admin): Promise<{ sealed: Buffer; identity: string }> {
  const { identity, recipient } = await newIdentity();
  const response = await fetch(`${admin.url}/api/v1/backups`, {
    method: "POST",
    headers: { authorization: `Bearer ${admin.apiKey}`, "content-type": "application/json" },
    body: JSON.stringify({ recipients: [recipient] }),
  });
  assert.equal(response.status, 200);
  return { sealed: Buffer.from(await response.arrayBuffer()), identity };
}

export function opening(sealed: Uint8Array, identity: string): OpenBackup {
  return () => openStream(inPieces(sealed), { identities: [identity] });
}

/** The rows of each table, as lines. */
export async function takeApart(
  open: OpenBackup,
): Promise<Contents & { tables: Map<string, string[]> }> {
  const tables = new Map<string, string[]>();
  let text = "";
  let name = "";
  const contents = await readContainer(open(), {
    beginTable(table) {
      name = table;
      text = "";
    },
    rows: (rows) => void (text += rows.toString("utf8")),
    endTable: () => void tables.set(name, text.split("\n").slice(0, -1)),
  });
  return { ...contents, tables };
}

/** Restores as the command does. */
export function restoreTo(
  databaseUrl: string,
  open: OpenBackup,
  o: { masterKey: string; suspendAgents?: boolean },
): ReturnType<typeof restoreBackup> {
  const config = readConfig({ DATABASE_URL: databaseUrl, X3SPROXY_MASTER_KEY: o.masterKey });
  const log = createLog({ level: "error", destination: { write: () => undefined } });
  return restoreBackup(config, log, { open, suspendAgents: o.suspendAgents ?? false });
}

/** Whether the database has no schema of ours. */
export function isUntouched(databaseUrl: string): Promise<boolean> {
  return withOwner(databaseUrl, async (sql) => {
    const found = await sql`select from pg_namespace where nspname = 'x3sproxy'`;
    return found.count === 0;
  });
}

async function* inPieces(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 50_000) {
    yield await Promise.resolve(bytes.subarray(at, at + 50_000));
  }
}
