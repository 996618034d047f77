// A folder of somebody else, in which the command line is run: its key is a link to the one of the service's own folder, and its owner
// listens at its socket.
import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { runCli } from "../cli/fixture.ts";

const KEY = "x3skey_FAKEFAKEFAKEFAKEFAKEFAKEFAKEFAKE";

it("a linked key goes to no other folder's socket", async (t) => {
  const root = await mkdtemp(join(tmpdir(), "x3sproxy-link-"));
  t.after(() => rm(root, { recursive: true, force: true }));
  const [own, shared] = [join(root, "own"), join(root, "shared")];
  for (const folder of [own, shared]) await mkdir(folder, { mode: 0o700 });
  await writeFile(join(own, "admin-api-key"), KEY, { mode: 0o600 });
  await symlink(join(own, "admin-api-key"), join(shared, "admin-api-key"));
  const got: unknown[] = [];
  const thief = createServer(({ headers }, response) => {
    got.push(headers.authorization);
    response.end("{}");
  });
  await new Promise<void>((resolve) => thief.listen(join(shared, "admin.sock"), resolve));
  t.after(() => thief.close());
  const { status, stderr } = await runCli(["agent", "list"], {
    environment: { X3SPROXY_DATA_DIR: shared },
  });
  assert.deepEqual(got, []);
  assert.equal(status, 1);
  assert.match(stderr, /can't be sent safely, since admin-api-key there is a link/);
});
