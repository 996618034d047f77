// The key is needed until the request's head is written. A WebSocket can stay open for days: a look into the memory must not find the key.
import assert from "node:assert/strict";
import { createReadStream } from "node:fs";
import { mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { createTestDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { runService } from "../support/service.ts";
import { createEcho, openWebSocket } from "../support/websocket-upstream.ts";

const KEY = "sk-FAKE-websocket-key-0123456789-abcdefghij";
const LONGEST = 200;

it("the heap of the service has no key while a WebSocket is open", async (t) => {
  const [upstream, database, folder] = await Promise.all([
    createEcho(),
    createTestDatabase(),
    mkdtemp(join(tmpdir(), "x3sproxy-heap-")),
  ]);
  t.after(() => Promise.all([upstream.close(), rm(folder, { recursive: true, force: true })]));
  const service = await runService({
    database,
    env: {
      X3SPROXY_ORIGIN_OPENAI: upstream.origin,
      X3SPROXY_ALLOW_PRIVATE_UPSTREAMS: "127.0.0.0/8",
      NODE_OPTIONS: `--heapsnapshot-signal=SIGUSR2 --diagnostic-dir=${folder}`,
    },
  });
  t.after(async () => {
    await service.remove();
    await database.drop();
  });
  await service.setSecret("openai", KEY);
  const token = await service.deploy("talker");
  const socket = await openWebSocket(`${service.proxyUrl}/openai/v1/realtime?model=gpt-5`, {
    headers: { authorization: `Bearer ${token}` },
  });
  t.after(() => socket.terminate());
  assert.equal(upstream.requests[0]?.headers.authorization, `Bearer ${KEY}`);
  service.process.kill("SIGUSR2");
  const snapshot = await written(folder);
  // Something that is there, so that it is known to be the service's heap, and looked through.
  assert.equal(await isIn(snapshot, "x3sproxy-refusal"), true);
  assert.equal(await isIn(snapshot, KEY), false);
});

/** The path of the snapshot, once all of it is there: it ends with the list of its texts. */
async function written(folder: string): Promise<string> {
  let path = "";
  await eventually(async () => {
    const [name] = await readdir(folder);
    if (name === undefined) return false;
    path = join(folder, name);
    const { size } = await stat(path);
    let end = "";
    for await (const part of createReadStream(path, { start: Math.max(0, size - 10) })) {
      end += String(part);
    }
    return end.trimEnd().endsWith("]}");
  });
  return path;
}

async function isIn(path: string, text: string): Promise<boolean> {
  let before = "";
  for await (const part of createReadStream(path, "latin1")) {
    const read = before + String(part);
    if (read.includes(text)) return true;
    before = read.slice(-LONGEST);
  }
  return false;
}
