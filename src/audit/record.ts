// How an event is written: by whoever makes the change, with the transaction that makes it.
import { hostname } from "node:os";
import { createPool, type Pool, type TransactionSql } from "../db/index.ts";
import { changesInWords } from "./changes-in-words.ts";

/** Who makes a change, as what, and from where. */
export interface Actor {
  readonly workspaceId: string;
  /** `link`: whoever holds a one-time link. `service`: the service itself. */
  readonly kind: "user" | "api_key" | "link" | "service" | "agent";
  readonly id: string | null;
  /** A user's e-mail address, or an API key's name. */
  readonly name: string;
  /** The client's address; null where there is none. */
  readonly address: string | null;
  /** How it proved who it is: `session`, `api_key`, `link`, … */
  readonly method: string;
}

/** The service, for what it does by itself. */
export function serviceActor(workspaceId: string): Actor {
  return {
    workspaceId,
    kind: "service",
    id: null,
    name: "x3sproxy",
    address: null,
    method: "service",
  };
}

/** What can happen. */
export const ACTIONS = [
  "secret.set",
  /** A key is kept as a candidate, which no call uses. */
  "secret.propose",
  "secret.activate",
  "secret.discard",
  "secret.rollback",
  "secret.delete",
  "secret.test",
  "agent.deploy",
  "agent.destroy",
  "agent.scope",
  "agent.suspend",
  "agent.resume",
  "agent.unusual",
  "token.expire",
  "registration.create",
  "registration.revoke",
  "registration.trade",
  "registration.trade_refused",
  "lease.create",
  "lease.end",
  "provider.set",
  "provider.delete",
  "environment.rename",
  "workspace.change",
  "workspace.suspend",
  "workspace.resume",
  "workspace.create",
  "workspace.setup_link",
  "workspace.delete",
  "user.create",
  "user.change",
  "user.delete",
  "user.sign_in",
  "user.sign_in_refused",
  "user.sign_out",
  "user.proof",
  "user.proof_refused",
  "password.change",
  "password.reset",
  "second_factor.enrol",
  "second_factor.remove",
  "recovery_codes.renew",
  "session.end",
  "invitation.create",
  "invitation.delete",
  "reset_link.create",
  "api_key.create",
  "api_key.delete",
  /** A secret was opened for an agent's calls: once for each time that its grant is read from the database. */
  "secret.release",
  /** Calls under way were cut. */
  "stream.cut",
  "audit.export",
  "audit.prune",
  "audit.erase",
  "backup.create",
  "backup.restore",
  "master_key.rotate",
  "master_key.activate",
  "maintenance.migrate",
  "service.start",
  "service.stop",
] as const;
export type Action = (typeof ACTIONS)[number];

export interface ChangeEvent {
  readonly action: Action;
  /** What it was done to. */
  readonly target: { readonly kind: string; readonly id: string; readonly name: string };
  /** As it was and as it became, in the form that may be shown: how they differ is kept, in words. Absent: there was nothing. */
  readonly before?: object | undefined;
  readonly after?: object | undefined;
  /** `done`, or why not. */
  readonly result?: string;
  /** What else there is to know: nothing secret, and nothing of a person. At most 1,000 characters as JSON; 4,000 without the change. */
  readonly detail?: Readonly<Record<string, string | number>> | undefined;
}

/** Adds an event. `sql`: the transaction of the change, confined to the actor's workspace. */
export async function record(
  sql: TransactionSql,
  actor: Actor,
  { action, target, before, after, result = "done", detail }: ChangeEvent,
): Promise<void> {
  const told = { ...changesInWords(before, after), ...detail };
  await sql`
    insert into x3sproxy.audit_events
      (workspace_id, actor_kind, actor_id, actor_name, address, method, action,
       target_kind, target_id, target_name, result, detail)
    values (${actor.workspaceId}, ${actor.kind}, ${actor.id}, ${actor.name}, ${actor.address}, ${actor.method},
      ${action}, ${target.kind}, ${target.id}, ${target.name}, ${result},
      ${Object.keys(told).length === 0 ? null : canonicalJson(told)})`;
}

/** With keys in order. */
function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) =>
    each !== null && typeof each === "object" && !Array.isArray(each)
      ? Object.fromEntries(Object.entries(each).sort(([a], [b]) => (a < b ? -1 : 1)))
      : each,
  );
}

// What the service does by itself, in the home workspace's audit: that it starts and stops, and which migrations it has applied.

export interface ServiceEvents {
  /** Rejects where it can't be written: what can't be in the audit must not run. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** `pool`: the control role's. `workspaceId`: home. `processId`: of this process, which later events name. */
export function createServiceEvents(o: {
  pool: Pool;
  workspaceId: string;
  processId: string;
  version: string;
}): ServiceEvents {
  const { workspaceId, processId } = o;
  const by = serviceActor(workspaceId);
  const write = (action: Action): Promise<void> =>
    o.pool.inWorkspace(workspaceId, (sql) =>
      record(sql, by, {
        action,
        target: { kind: "process", id: processId, name: hostname().slice(0, 300) },
        detail: { process: processId, version: o.version },
      }),
    );
  return { start: () => write("service.start"), stop: () => write("service.stop") };
}

/** Records the migrations that were applied since this was last done; before there is a home workspace, nothing. */
export async function recordMigrations(ownerUrl: string): Promise<void> {
  const pool = createPool(ownerUrl, { max: 1 });
  try {
    await pool.query((sql) => sql`select x3sproxy.record_migrations()`);
  } finally {
    await pool.close();
  }
}
