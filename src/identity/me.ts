// What a caller is told of itself.
import type { Role } from "../contract/index.ts";
import type { Pool } from "../db/index.ts";
import type { Caller } from "./caller.ts";

export interface MeView {
  kind: "user" | "api_key";
  id: string;
  name: string;
  role: Role;
  agents: readonly string[] | null;
  workspace: { id: string; name: string; secondFactorRequired: boolean };
  /** Null for an API key. */
  secondFactor: { enrolled: boolean; recoveryCodesLeft: number } | null;
  mustEnrol: boolean;
}

interface Row {
  name: string;
  required: boolean;
  enrolled: boolean;
  left: number;
}

export function createMe({ pool }: { pool: Pool }): (caller: Caller) => Promise<MeView> {
  return async ({ kind, id, name, role, agents, workspaceId, mustEnrol }) => {
    const [row] = await pool.inWorkspace(
      workspaceId,
      (sql) => sql<Row[]>`
        select w.name, w.second_factor_required as required,
          exists (select from x3sproxy.second_factors where user_id = ${id}) as enrolled,
          (select count(*)::integer from x3sproxy.recovery_codes where user_id = ${id}) as left
        from x3sproxy.workspaces w where w.id = ${workspaceId}`,
    );
    if (row === undefined) throw new Error("the caller's workspace is missing");
    return {
      ...{ kind, id, name, role, agents, mustEnrol },
      workspace: { id: workspaceId, name: row.name, secondFactorRequired: row.required },
      secondFactor:
        kind === "user" ? { enrolled: row.enrolled, recoveryCodesLeft: row.left } : null,
    };
  };
}
