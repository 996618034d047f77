// Writes audit events. A change records its event in its own transaction; the service also records its starts, stops and migrations.
// Must never store the values before and after a change, only how they differ.
import { hostname } from "node:os";
import { createPool, type Pool, type TransactionSql } from "../db/index.ts";
import { changesInWords } from "./changes-in-words.ts";

/** Who made a change, how it was authenticated, and from which address. */
export interface Actor {
  readonly workspaceId: string;
  /** `link`: the holder of a one-time link. `service`: the service itself. */
  readonly kind: "user" | "api_key" | "link" | "service" | "agent";
  readonly id: string | null;
  /** A user's e-mail address, or an API key's name. */
  readonly name: string;
  /** The client's address; null where there is none. */
  readonly address: string | null;
  /** How it was authenticated: `session`, `api_key`, `link`, … */
  readonly method: string;
}

/** The service, as the actor of what it does by itself. */
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

export const ACTIONS = [
  "secret.set",
  /** A key was saved as a candidate, which no call uses. */
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
  /** A secret was released for the calls of an agent, or for a key test. */
  "secret.release",
  /** Open calls were cut off. */
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
  /** What was changed. */
  readonly target: { readonly kind: string; readonly id: string; readonly name: string };
  /** The target before and after the change, as the REST API shows it. The event stores how they differ. Absent: it did not exist. */
  readonly before?: object | undefined;
  readonly after?: object | undefined;
  /** `done`, or a reason why not. */
  readonly result?: string;
  /** Further details, without secrets and personal data. As JSON at most 1,000 characters; 4,000 without `before` and `after`. */
  readonly detail?: Readonly<Record<string, string | number>> | undefined;
}

/** Records an event. `sql`: the transaction of the change, confined to the actor's workspace. */
export async function record(
  sql: TransactionSql,
  actor: Actor,
  { action, target, before, after, result = "done", detail }: ChangeEvent,
): Promise<void> {
  const details = { ...changesInWords(before, after), ...detail };
  await sql`
    insert into x3sproxy.audit_events
      (workspace_id, actor_kind, actor_id, actor_name, address, method, action,
       target_kind, target_id, target_name, result, detail)
    values (${actor.workspaceId}, ${actor.kind}, ${actor.id}, ${actor.name}, ${actor.address}, ${actor.method},
      ${action}, ${target.kind}, ${target.id}, ${target.name}, ${result},
      ${Object.keys(details).length === 0 ? null : canonicalJson(details)})`;
}

/** JSON with sorted keys. */
function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) =>
    each !== null && typeof each === "object" && !Array.isArray(each)
      ? Object.fromEntries(Object.entries(each).sort(([a], [b]) => (a < b ? -1 : 1)))
      : each,
  );
}

export interface ServiceEvents {
  /** Rejects when the event can't be written: the service must not run without it. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** `pool`: of the control role. `workspaceId`: the home workspace. `processId`: later events of this process name it. */
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

/** Records the migrations applied since the last call. Does nothing while there is no home workspace. */
export async function recordMigrations(ownerUrl: string): Promise<void> {
  const pool = createPool(ownerUrl, { max: 1 });
  try {
    await pool.query((sql) => sql`select x3sproxy.record_migrations()`);
  } finally {
    await pool.close();
  }
}
