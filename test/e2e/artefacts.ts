// What a run of the product leaves and shows, collected for the canary to search.
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { withOwner } from "../../src/db/connection.ts";
import type { RunningService } from "../support/service.ts";
import type { Artefact } from "./leaks.ts";

/** The owner's URL of the embedded database. */
export async function ownerUrl({ dataDir }: RunningService): Promise<string> {
  const password = await readFile(join(dataDir, "postgres-password"), "utf8");
  const [, , , port = ""] = (
    await readFile(join(dataDir, "postgres", "postmaster.pid"), "utf8")
  ).split("\n");
  return `postgres://x3sproxy:${password}@127.0.0.1:${port}/postgres`;
}

/** Every row of every table as text, the catalogs and what the server knows of its statements included. */
export function dumpTables(service: RunningService): Promise<Artefact> {
  return ownerUrl(service).then((url) =>
    withOwner(url, async (sql) => {
      const tables = await sql<{ name: string }[]>`
        select format('%I.%I', nspname, relname) as name
        from pg_class c join pg_namespace n on n.oid = relnamespace
        where relkind in ('r', 'm') or relname in ('pg_stat_activity', 'pg_stat_ssl', 'pg_settings')`;
      const texts: string[] = [];
      for (const { name } of tables) {
        const rows = await sql<{ row: string }[]>`select t::text as row from ${sql.unsafe(name)} t`;
        texts.push(...rows.map(({ row }) => row));
      }
      return { place: "the dump", bytes: Buffer.from(texts.join("\n")) };
    }),
  );
}

/** Looks at the arguments and the environment of every process, again and again. */
export function sampleProcesses(): {
  pause(whether: boolean): void;
  seen(): Artefact;
  stop(): void;
} {
  const seen = new Set<string>();
  const look = async (): Promise<void> => {
    for (const entry of await readdir("/proc")) {
      if (!/^\d+$/.test(entry) || Number(entry) === process.pid) continue;
      for (const name of ["cmdline", "environ"]) {
        seen.add(await readFile(`/proc/${entry}/${name}`, "utf8").catch(() => ""));
      }
    }
  };
  let paused = false;
  const timer = setInterval(() => {
    if (!paused) void look();
  }, 100);
  return {
    pause: (whether: boolean) => void (paused = whether),
    seen: (): Artefact => ({ place: "a process", bytes: Buffer.from([...seen].join("\n")) }),
    stop: () => clearInterval(timer),
  };
}

export function outputOf({ output }: RunningService, whose: string): Artefact[] {
  return [
    { place: `the log of ${whose}`, bytes: Buffer.from(output.stdout) },
    { place: `the banner of ${whose}`, bytes: Buffer.from(output.stderr) },
  ];
}

/** Every file of a folder, whole. Postgres makes and removes some while we read. */
export async function readFolder(folder: string): Promise<Artefact[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  const artefacts = await Promise.all(
    files.map(async (file) => {
      const path = join(file.parentPath, file.name);
      const bytes = await readFile(path).catch(() => Buffer.alloc(0));
      return { place: `file ${path.slice(folder.length + 1)}`, bytes };
    }),
  );
  return artefacts.filter(({ bytes }) => bytes.length > 0);
}
