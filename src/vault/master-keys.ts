// The master keys for the owners of the home workspace: lists them by id, with the number of values sealed under each and the
// processes that hold them, and starts a rotation. Must never handle a key, only ids.
import { record, type Actor } from "../audit/index.ts";
import type { Pool, TransactionSql } from "../db/index.ts";
import { RequestError } from "../platform/errors.ts";

export interface MasterKeyView {
  id: string;
  /** Whether it seals new values. */
  active: boolean;
  /** When a process first had it, ISO 8601. */
  createdAt: string;
  /** When it last became the active one, ISO 8601; null: never. */
  activatedAt: string | null;
  /** How many values are sealed under it. */
  sealed: number;
  /** How many running processes hold it. */
  heldBy: number;
}

export interface KeyProcessView {
  id: string;
  masterKeys: string[];
  /** ISO 8601. */
  startedAt: string;
  seenAt: string;
}

export interface RotationView {
  /** The active key. */
  to: string;
  /** `running`: a value may still be sealed under another key, or a process may still seal under one. */
  state: "running" | "done";
  /** How many values were rewrapped from other keys since it became active. */
  rewrapped: number;
  /** How many are sealed under other keys. */
  left: number;
  /** How many of those the last round couldn't open. The log names them. */
  unreadable: number;
}

export interface MasterKeysView {
  masterKeys: MasterKeyView[];
  rotation: RotationView;
  processes: KeyProcessView[];
}

export interface MasterKeys {
  /** Throws RequestError 403 `home_workspace_only`. */
  list(workspaceId: string): Promise<MasterKeysView>;
  /**
   * Makes `to`, by default the only new key, the active one. The processes then rewrap the values under other keys. Changes nothing
   * when `to` is active already. Recorded in the audit. Throws RequestError: 403 `home_workspace_only`, 404 `master_key_not_found`, 409
   * `master_key_not_named`, `master_key_not_held`.
   */
  rotate(by: Actor, to?: string): Promise<MasterKeysView>;
}

interface KeyRow {
  key_id: string;
  active: boolean;
  created_at: Date;
  activated_at: Date | null;
  rotated_at: Date | null;
  rewrapped: number;
  unreadable: number;
  sealed: number;
}

/** `pool`: of the control role. */
export function createMasterKeys({ pool }: { pool: Pool }): MasterKeys {
  return {
    list: (workspaceId) => pool.inWorkspace(workspaceId, read),

    rotate: (by, to) =>
      pool.inWorkspace(by.workspaceId, async (sql) => {
        const before = await read(sql);
        const wanted = to ?? onlyNew(before);
        const [{ outcome }] = await sql<[{ outcome: string }]>`
          select x3sproxy.activate_master_key(${wanted}) as outcome`;
        if (outcome === "active") return before;
        if (outcome !== "done") throw refusal(outcome, wanted, before);
        const target = { kind: "master_key", id: wanted, name: wanted };
        const from = before.rotation.to;
        await record(sql, by, { action: "master_key.activate", target, detail: { from } });
        const after = await read(sql);
        const { left } = after.rotation;
        await record(sql, by, {
          ...{ action: "master_key.rotate", target, result: "begun", detail: { from, left } },
        });
        return after;
      }),
  };
}

/**
 * The key to rotate to by default: the only one that is held and was never active. Without a new key, a running rotation continues to
 * its own key.
 */
function onlyNew({ masterKeys, rotation }: MasterKeysView): string {
  const fresh = masterKeys.filter(({ activatedAt, heldBy }) => activatedAt === null && heldBy > 0);
  const [only, ...more] = fresh;
  if (only === undefined && rotation.state === "running") return rotation.to;
  if (only !== undefined && more.length === 0) return only.id;
  throw new RequestError(
    409,
    "master_key_not_named",
    only === undefined
      ? "There is no new master key. Give all processes one beside the one that they have; to go back to an earlier one, name it."
      : `There are several new master keys: ${fresh.map(({ id }) => id).join(", ")}. Name one.`,
  );
}

function refusal(outcome: string, wanted: string, { processes }: MasterKeysView): RequestError {
  if (outcome === "unknown") {
    return new RequestError(
      404,
      "master_key_not_found",
      "No process has ever had this master key. Give it to all of them beside the one that they have.",
    );
  }
  if (outcome === "not_held") {
    const lacking = processes.filter(({ masterKeys }) => !masterKeys.includes(wanted));
    const which = lacking.map(({ id, startedAt }) => `${id} (started ${startedAt})`).join(", ");
    return new RequestError(
      409,
      "master_key_not_held",
      `Not all processes hold the master key ${wanted}: ${lacking.length} of ${processes.length} lack it: ${which}. ` +
        "Give it to them, restart them, and try again; one that has crashed is forgotten after a minute.",
    );
  }
  return homeOnly();
}

function homeOnly(): RequestError {
  return new RequestError(
    403,
    "home_workspace_only",
    "Only owners of the installation's home workspace can do this.",
  );
}

async function read(sql: TransactionSql): Promise<MasterKeysView> {
  const keys = await sql<KeyRow[]>`
    select key_id, active, created_at, activated_at, rotated_at, rewrapped::float8 as rewrapped,
      unreadable::float8 as unreadable, sealed::float8 as sealed
    from x3sproxy.list_master_keys()`;
  const active = keys.find((each) => each.active);
  if (active === undefined) throw homeOnly();
  const processes = await sql<
    { process: string; key_ids: string[]; seals_with: string; started_at: Date; seen_at: Date }[]
  >`select * from x3sproxy.list_process_keys()`;
  const left = keys.reduce((sum, key) => sum + (key.active ? 0 : key.sealed), 0);
  return {
    masterKeys: keys.map((key) => ({
      id: key.key_id,
      active: key.active,
      createdAt: key.created_at.toISOString(),
      activatedAt: key.activated_at?.toISOString() ?? null,
      sealed: key.sealed,
      heldBy: processes.filter(({ key_ids: ids }) => ids.includes(key.key_id)).length,
    })),
    rotation: {
      to: active.key_id,
      state: left === 0 && active.rotated_at !== null ? "done" : "running",
      rewrapped: active.rewrapped,
      left,
      unreadable: left === 0 ? 0 : active.unreadable,
    },
    processes: processes.map((each) => ({
      id: each.process,
      masterKeys: each.key_ids,
      startedAt: each.started_at.toISOString(),
      seenAt: each.seen_at.toISOString(),
    })),
  };
}
