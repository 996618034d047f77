// Databases for tests: each its own, cloned from the migrated template of the run's one server (global-setup.ts).
import { randomBytes } from "node:crypto";
import { prepareLogins } from "../../src/db/index.ts";
import { withOwner } from "../../src/db/connection.ts";

export const SERVER_VARIABLE = "X3SPROXY_TEST_SERVER";
export const TEMPLATE = "x3sproxy_template";

export interface TestDatabase {
  /** The superuser's. */
  readonly ownerUrl: string;
  readonly controlUrl: string;
  readonly proxyUrl: string;
  /** Base64 of 32 bytes; the database knows no master key yet. */
  readonly masterKey: string;
  drop(): Promise<void>;
}

/** A migrated, empty database with its two logins. */
export async function createTestDatabase(): Promise<TestDatabase> {
  const name = `test_${randomBytes(8).toString("hex")}`;
  await withOwner(
    serverUrl(),
    // By copying files, which costs half of going through the log: nothing here outlives a crash.
    async (sql) => sql`create database ${sql(name)} template ${sql(TEMPLATE)} strategy file_copy`,
  );
  const ownerUrl = urlOfDatabase(serverUrl(), name);
  const { controlUrl, proxyUrl } = await prepareLogins(ownerUrl, (role) => `fake-${role}-password`);
  return {
    ownerUrl,
    controlUrl,
    proxyUrl,
    masterKey: Buffer.alloc(32, "fake").toString("base64"),
    drop: () =>
      withOwner(serverUrl(), async (sql) => {
        await sql`drop database ${sql(name)} with (force)`;
        for (const url of [controlUrl, proxyUrl])
          await sql`drop role ${sql(new URL(url).username)}`;
      }),
  };
}

/** The URL of another database on the same server, as the same user. */
export function urlOfDatabase(url: string, name: string): string {
  return Object.assign(new URL(url), { pathname: `/${name}` }).href;
}

/** The superuser's URL of the server that global-setup.ts started. */
export function serverUrl(): string {
  const url = process.env[SERVER_VARIABLE];
  if (url === undefined)
    throw new Error("run with --test-global-setup=test/support/global-setup.ts");
  return url;
}
