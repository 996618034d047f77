// Creates what a new installation needs before anybody can sign in: a workspace, an API key of an owner, and a setup link for the first
// user. Runs only at start, as the database's owner role. Must give the plain key and token to the caller alone.
import { record, serviceActor } from "../audit/index.ts";
import { createPool } from "../db/index.ts";
import { API_KEY_PREFIX, newBearer, newId, SETUP_TOKEN_PREFIX } from "../platform/ids.ts";
import { digest } from "./credentials.ts";

const WORKSPACE_NAME = "default";
/** The name of the API key that a start creates, and replaces when its file is lost. */
export const KEY_NAME = "bootstrap";

export interface Bootstrap {
  readonly workspaceId: string;
  /** The new API key of an owner, shown only now; undefined when none was created. */
  readonly apiKey: string | undefined;
  /** Valid once and for 24 hours; undefined as soon as there is a user. */
  readonly setupToken: string | undefined;
}

/**
 * Prepares the first workspace; safe when several services start at once. Creates the API key when there is none. `makeApiKey`: replace
 * the earlier key, because its file was lost.
 */
export async function bootstrap(
  ownerUrl: string,
  { makeApiKey }: { makeApiKey: boolean },
): Promise<Bootstrap> {
  const pool = createPool(ownerUrl, { max: 1 });
  try {
    return await pool.transaction(async (tx) => {
      await tx`select pg_advisory_xact_lock(hashtext('x3sproxy bootstrap'))`;
      // Find it by age, since its owners may have renamed it.
      await tx`
          insert into x3sproxy.workspaces (id, name)
          select ${newId()}, ${WORKSPACE_NAME} where not exists (select from x3sproxy.workspaces)`;
      await tx`
          update x3sproxy.workspaces set home = true
          where id = (select id from x3sproxy.workspaces order by created_at, id limit 1)
            and not exists (select from x3sproxy.workspaces where home)`;
      const [workspace] = await tx<{ id: string }[]>`
          select id from x3sproxy.workspaces where home`;
      if (workspace === undefined) throw new Error("the first workspace is missing");
      const workspaceId = workspace.id;

      const by = serviceActor(workspaceId);
      const key = newBearer(API_KEY_PREFIX);
      const keyId = newId();
      if (makeApiKey) {
        await tx`
            delete from x3sproxy.api_keys where workspace_id = ${workspaceId} and name = ${KEY_NAME}`;
      }
      const keyMade = await tx`
          insert into x3sproxy.api_keys (id, workspace_id, name, hash, role)
          select ${keyId}, ${workspaceId}, ${KEY_NAME}, ${digest(key)}, 'owner'
          where not exists (select from x3sproxy.api_keys
            where workspace_id = ${workspaceId} and name = ${KEY_NAME})`;
      if (keyMade.count === 1) {
        await record(tx, by, {
          action: "api_key.create",
          target: { kind: "api_key", id: keyId, name: KEY_NAME },
          after: { id: keyId, name: KEY_NAME, role: "owner" },
        });
      }

      const setupToken = newBearer(SETUP_TOKEN_PREFIX);
      await tx`delete from x3sproxy.setup_links where workspace_id = ${workspaceId}`;
      const linkMade = await tx`
          insert into x3sproxy.setup_links (hash, workspace_id, expires_at)
          select ${digest(setupToken)}, ${workspaceId}, now() + interval '24 hours'
          where not exists (select from x3sproxy.users where workspace_id = ${workspaceId})`;

      return {
        workspaceId,
        apiKey: keyMade.count === 1 ? key : undefined,
        setupToken: linkMade.count === 1 ? setupToken : undefined,
      };
    });
  } finally {
    await pool.close();
  }
}
