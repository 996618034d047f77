// Whether the audit of a restored database still holds, workspace by workspace.
import { lookAtTree } from "../audit/index.ts";
import { transact, withOwner } from "../db/index.ts";

export interface AuditState {
  readonly workspaces: number;
  /** Leaves of all trees. */
  readonly leaves: number;
  /** Those whose event is there. */
  readonly events: number;
  /** What doesn't hold, a sentence each. */
  readonly problems: readonly string[];
}

/** `publicKey`: of the service's logs. */
export function lookAtAudit(ownerUrl: string, publicKey: Uint8Array): Promise<AuditState> {
  return withOwner(ownerUrl, (sql) =>
    transact(
      sql,
      async (transaction) => {
        const workspaces = await transaction<{ id: string }[]>`
        select distinct workspace_id as id from x3sproxy.audit_checkpoints`;
        let [leaves, events] = [0, 0];
        const problems: string[] = [];
        for (const { id } of workspaces) {
          const state = await lookAtTree(transaction, id, publicKey);
          leaves += state.size;
          events += state.events;
          if (state.problem !== undefined) problems.push(`workspace ${id}: ${state.problem}`);
        }
        return { workspaces: workspaces.length, leaves, events, problems };
      },
      { isolation: "isolation level repeatable read, read only" },
    ),
  );
}
