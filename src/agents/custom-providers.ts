// Custom providers: those that a workspace adds to the built-in ones. Owns their origin and where their key goes. Must never accept a name
// that routing uses otherwise, or a header that may not carry a key.
import { record, type Actor } from "../audit/index.ts";
import { parseOrigin } from "../platform/config-values.ts";
import type { Pool, TransactionSql } from "../db/index.ts";
import type { ProblemCode } from "../contract/index.ts";
import { RequestError } from "../platform/errors.ts";
import { builtInProviders, mayCarryKey } from "../providers/index.ts";

export interface CustomProviderView {
  name: string;
  origin: string;
  header: string;
  scheme: string;
  createdAt: string;
}

export interface CustomProviders {
  /**
   * Adds a provider or replaces it. Its keys stay sealed for the old origin, header and scheme: if one of these changes, the keys must be
   * saved again. Throws RequestError 422 that says which part is wrong.
   */
  put(
    by: Actor,
    p: { name: string; origin: string; header: string; scheme: string },
  ): Promise<CustomProviderView>;
  list(workspaceId: string): Promise<CustomProviderView[]>;
  /** Deletes the provider. Its secrets stay, sealed for the origin that it had. Throws RequestError 404 `provider_not_found`. */
  delete(by: Actor, name: string): Promise<void>;
}

interface ProviderRow {
  name: string;
  origin: string;
  header: string;
  scheme: string;
  created_at: Date;
}

const NAME = /^[a-z0-9][a-z0-9-]{0,62}$/;
const RESERVED_NAMES = new Set(["api"]);
// Tokens as in RFC 9110, 5.6.2. The bounds on length refuse a key that was typed into the wrong field.
const HEADER = /^[!#$%&'*+.^_`|~0-9a-z-]{1,40}$/;
const SCHEME = /^[!#$%&'*+.^_`|~0-9a-z-]{0,24}$/i;

/** `originProblem`: why calls may not go to an origin, in a sentence; undefined if they may. */
export function createCustomProviders(o: {
  pool: Pool;
  originProblem: (origin: string) => string | undefined;
}): CustomProviders {
  const { pool, originProblem } = o;

  function check(p: { name: string; origin: string; header: string; scheme: string }) {
    if (!NAME.test(p.name)) {
      throw invalid(
        "provider_name_invalid",
        "name a provider with up to 63 of a-z, 0-9 and -, a letter or digit first",
      );
    }
    if (RESERVED_NAMES.has(p.name) || builtInProviders.has(p.name)) {
      throw invalid(
        "provider_name_taken",
        `"${p.name}" is a name of x3sproxy's own, choose another`,
      );
    }
    const origin = parseOrigin(p.origin);
    if (origin === undefined) {
      throw invalid(
        "origin_invalid",
        "give an origin (scheme, host and port, no path), as in https://llm.example.com",
      );
    }
    const problem = originProblem(origin);
    if (problem !== undefined) throw invalid("origin_refused", problem);
    const header = p.header.toLowerCase();
    if (!HEADER.test(header)) {
      throw invalid("header_invalid", "give the name of one header, as in Authorization");
    }
    if (!mayCarryKey(header)) {
      throw invalid(
        "header_refused",
        `no key goes into the header "${header}": servers and proxies answer with it or act on it. Name one for credentials, as in Authorization`,
      );
    }
    if (!SCHEME.test(p.scheme)) {
      throw invalid(
        "scheme_invalid",
        "give one word that stands before the key, as in Bearer, or nothing",
      );
    }
    return { name: p.name, origin, header, scheme: p.scheme };
  }

  return {
    async put(by, p) {
      const { workspaceId } = by;
      const { name, origin, header, scheme } = check(p);
      return pool.inWorkspace(workspaceId, async (sql) => {
        const before = await findProvider(sql, workspaceId, name);
        const [row] = await sql<ProviderRow[]>`
          insert into x3sproxy.providers (workspace_id, name, origin, header, scheme)
          values (${workspaceId}, ${name}, ${origin}, ${header}, ${scheme})
          on conflict (workspace_id, name) do update
            set origin = excluded.origin, header = excluded.header, scheme = excluded.scheme
          returning name, origin, header, scheme, created_at`;
        if (row === undefined) throw new Error("insert returned no row");
        const after = view(row);
        await record(sql, by, { action: "provider.set", target: targetOf(name), before, after });
        return after;
      });
    },
    async list(workspaceId) {
      const rows = await pool.inWorkspace(
        workspaceId,
        (sql) => sql<ProviderRow[]>`
          select name, origin, header, scheme, created_at from x3sproxy.providers
          where workspace_id = ${workspaceId} order by name`,
      );
      return rows.map(view);
    },
    delete: (by, name) =>
      pool.inWorkspace(by.workspaceId, async (sql) => {
        const before = await findProvider(sql, by.workspaceId, name);
        if (before === undefined) {
          throw new RequestError(
            404,
            "provider_not_found",
            `there is no custom provider "${name}"`,
          );
        }
        await sql`
          delete from x3sproxy.providers where workspace_id = ${by.workspaceId} and name = ${name}`;
        await record(sql, by, { action: "provider.delete", target: targetOf(name), before });
      }),
  };
}

/** The provider, or undefined. Locks its row until the transaction ends. */
async function findProvider(
  sql: TransactionSql,
  workspaceId: string,
  name: string,
): Promise<CustomProviderView | undefined> {
  const [row] = await sql<ProviderRow[]>`
    select name, origin, header, scheme, created_at from x3sproxy.providers
    where workspace_id = ${workspaceId} and name = ${name} for update`;
  return row && view(row);
}

function targetOf(name: string) {
  return { kind: "provider", id: name, name };
}

function invalid(code: ProblemCode, message: string): RequestError {
  return new RequestError(422, code, message);
}

function view({ created_at, ...rest }: ProviderRow): CustomProviderView {
  return { ...rest, createdAt: created_at.toISOString() };
}
