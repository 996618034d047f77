// API keys, for programs. Must return a key only once, when it is created, and store only its SHA-256.
import { record, type Actor } from "../audit/index.ts";
import type { Role } from "../contract/index.ts";
import type { Page, Pool } from "../db/index.ts";
import { RequestError } from "../platform/errors.ts";
import { API_KEY_PREFIX, newBearer, newId } from "../platform/ids.ts";
import { parseBlock } from "../platform/addresses.ts";
import { digest } from "./credentials.ts";
import { KEY_NAME } from "./bootstrap.ts";
import { checkLimit } from "./caller.ts";

export interface ApiKeyView {
  id: string;
  name: string;
  role: Role;
  agents: string[] | null;
  /** ISO 8601. */
  createdAt: string;
  /** Null: never. */
  expiresAt: string | null;
  /** Updated at most once a minute; null: never used. */
  lastUsedAt: string | null;
  /** In CIDR notation; empty: any address. */
  allowedAddresses: string[];
  requestsPerMinute: number | null;
}

export interface NewApiKey {
  name: string;
  role: Role;
  agents: string[] | null;
  /** Null: it does not expire. */
  expiresInSeconds: number | null;
  /** Addresses, or blocks in CIDR notation; empty: any address. */
  allowedAddresses: string[];
  requestsPerMinute: number | null;
}

const LOWEST_ID = "00000000-0000-0000-0000-000000000000";

/** Every change is recorded in the audit. */
export interface ApiKeys {
  /** Includes expired keys. Sorted by name and id. */
  list(workspaceId: string, page: Page<readonly [name: string, id: string]>): Promise<ApiKeyView[]>;
  /** How many API keys the workspace has. */
  count(workspaceId: string): Promise<number>;
  /** Throws RequestError: 409 `name_taken`, 422 `agents_not_allowed`, 422 `address_invalid`. */
  create(by: Actor, key: NewApiKey): Promise<{ apiKey: ApiKeyView; key: string }>;
  /** Throws RequestError 404 `api_key_not_found`. */
  delete(by: Actor, keyId: string): Promise<ApiKeyView>;
}

interface KeyRow {
  id: string;
  name: string;
  role: Role;
  agents: string[] | null;
  created_at: Date;
  expires_at: Date | null;
  last_used_at: Date | null;
  allowed_addresses: string[];
  requests_per_minute: number | null;
}

export function createApiKeys({ pool }: { pool: Pool }): ApiKeys {
  return {
    async list(workspaceId, { limit, after: [name, id] = ["", LOWEST_ID] }) {
      const rows = await pool.inWorkspace(
        workspaceId,
        (sql) => sql<KeyRow[]>`
          select * from x3sproxy.api_keys
          where workspace_id = ${workspaceId} and (name collate "C", id) > (${name}, ${id}::uuid)
          order by name collate "C", id limit ${limit}`,
      );
      return rows.map(view);
    },

    count: (workspaceId) =>
      pool.inWorkspace(workspaceId, async (sql) => {
        const [row] = await sql<{ count: number }[]>`
          select count(*)::integer from x3sproxy.api_keys where workspace_id = ${workspaceId}`;
        return row?.count ?? 0;
      }),

    async create(by, wanted) {
      const { name, role, agents, expiresInSeconds, requestsPerMinute } = wanted;
      checkLimit(role, agents);
      if (name === KEY_NAME) {
        throw new RequestError(409, "name_taken", "The service's own API key has this name.");
      }
      const addresses = blocksOf(wanted.allowedAddresses);
      const key = newBearer(API_KEY_PREFIX);
      const apiKey = await pool.inWorkspace(by.workspaceId, async (sql) => {
        const [row] = await sql<KeyRow[]>`
          insert into x3sproxy.api_keys (id, workspace_id, name, hash, role, agents, expires_at,
            allowed_addresses, requests_per_minute)
          values (${newId()}, ${by.workspaceId}, ${name}, ${digest(key)}, ${role}, ${agents}::text[],
            now() + ${expiresInSeconds}::integer * interval '1 second', ${addresses}::text[], ${requestsPerMinute})
          returning *`;
        if (row === undefined) throw new Error("insert returned no row");
        const after = view(row);
        await record(sql, by, { action: "api_key.create", target: targetOf(after), after });
        return after;
      });
      return { apiKey, key };
    },

    delete: (by, keyId) =>
      pool.inWorkspace(by.workspaceId, async (sql) => {
        const [row] = await sql<KeyRow[]>`
          delete from x3sproxy.api_keys where id = ${keyId} returning *`;
        if (row === undefined) {
          throw new RequestError(404, "api_key_not_found", "There is no such API key.");
        }
        const before = view(row);
        await record(sql, by, { action: "api_key.delete", target: targetOf(before), before });
        return before;
      }),
  };
}

function blocksOf(texts: readonly string[]): string[] {
  const blocks = texts.map((text) => {
    const block = parseBlock(text.trim());
    if (block !== undefined) return block;
    throw new RequestError(
      422,
      "address_invalid",
      "Give addresses or blocks of them, as in 203.0.113.7, 10.0.0.0/8 or fd00::/8.",
    );
  });
  return [...new Set(blocks)];
}

function targetOf({ id, name }: ApiKeyView) {
  return { kind: "api_key", id, name };
}

function view(row: KeyRow): ApiKeyView {
  return {
    id: row.id,
    name: row.name,
    role: row.role,
    agents: row.agents,
    createdAt: row.created_at.toISOString(),
    expiresAt: row.expires_at?.toISOString() ?? null,
    lastUsedAt: row.last_used_at?.toISOString() ?? null,
    allowedAddresses: row.allowed_addresses,
    requestsPerMinute: row.requests_per_minute,
  };
}
