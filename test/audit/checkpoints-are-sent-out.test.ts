import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { execFileSync } from "node:child_process";
import { mkdtemp, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import {
  createServer as createTcpServer,
  type AddressInfo,
  type Server,
  type Socket,
} from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after, before, type TestContext } from "node:test";
import {
  createServer as createTlsStream,
  getCACertificates,
  setDefaultCACertificates,
} from "node:tls";
import { createCheckpointSending, destinationsOf } from "../../src/audit/index.ts";
import { syslogDestination } from "../../src/audit/checkpoint-destinations.ts";
import { readKeptCheckpoints } from "../../src/audit/kept-checkpoints.ts";
import { openCheckpoint, originOfLog, signCheckpoint } from "../../src/audit/note.ts";
import { readConfig } from "../../src/platform/config.ts";
import { ConfigError } from "../../src/platform/errors.ts";
import { createJobRunner } from "../../src/platform/jobs.ts";
import { createLog } from "../../src/platform/log.ts";
import { createMetrics } from "../../src/platform/metrics.ts";
import { createAuthority, type Authority } from "../support/authority.ts";
import { eventually } from "../support/eventually.ts";
import { openSealedLog, verify } from "./sealed-log.ts";

let log: Awaited<ReturnType<typeof openSealedLog>>;
let authority: Authority;
let folder: string;
before(async () => {
  log = await openSealedLog();
  authority = await createAuthority();
  folder = await mkdtemp(join(tmpdir(), "x3sproxy-checkpoints-"));
  setDefaultCACertificates([...getCACertificates(), authority.certificate]);
});
after(async () => {
  await log.close();
  await authority.remove();
  await rm(folder, { recursive: true });
});

/** Sends as a service with these settings does, every 100 ms. */
function start(t: TestContext, settings: Record<string, string>) {
  const names = Object.entries(settings).map(([name, value]) => [
    `X3SPROXY_CHECKPOINT_${name}`,
    value,
  ]);
  const { checkpoints } = readConfig(Object.fromEntries(names) as Record<string, string>);
  const lines: string[] = [];
  const metrics = createMetrics();
  const told = createLog({
    level: "debug",
    destination: { write: (line) => void lines.push(line) },
  });
  const sending = createCheckpointSending({
    ...{ pool: log.pool, destinations: destinationsOf(checkpoints), metrics, log: told },
  });
  const runner = createJobRunner(
    [
      {
        name: "checkpoint_sending",
        ...{ everyMs: 100, withinMs: 10_000, by: "each process", failure: "can't be read" },
        run: () => sending.look(),
        last: () => sending.close(),
      },
    ],
    { log: told, metrics },
  );
  runner.start();
  let isClosed = false;
  const close = async (): Promise<void> => {
    if (!isClosed) await runner.stop();
    isClosed = true;
  };
  t.after(close);
  return { lines, metrics, close };
}

async function listen(t: TestContext, server: Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  return (server.address() as AddressInfo).port;
}

/** A log with a checkpoint of this many leaves; what is sent of other logs is passed over. */
async function newLog(count: number) {
  const id = randomUUID();
  await log.makeEvents(id, count);
  const sizesIn = (notes: readonly string[]): number[] =>
    notes
      .filter((note) => note.includes(id))
      .map((note) => openCheckpoint(note, log.keyOf(id)).size);
  return { id, sizesIn, grow: (more: number) => log.makeEvents(id, more) };
}

async function* linesOf(text: string): AsyncGenerator<string> {
  yield* await Promise.resolve(text.split("\n"));
}

async function notesIn(text: string): Promise<string[]> {
  const { checkpoints, otherLines } = await readKeptCheckpoints(linesOf(text), "kept");
  assert.equal(otherLines, 0);
  return checkpoints.map(({ note }) => note);
}

test("each new one is appended to a private file, once, and an export is verified by that", async (t) => {
  const one = await newLog(2);
  const path = join(folder, "checkpoints");
  const { close, metrics } = start(t, { FILE: path });
  const kept = async (): Promise<number[]> =>
    one.sizesIn(await notesIn(await readFile(path, "utf8").catch(() => "")));
  await eventually(async () => (await kept()).length === 1);
  await one.grow(3);
  await eventually(async () => (await kept()).length === 2);
  await one.grow(1);
  await close();
  assert.deepEqual(await kept(), [2, 5, 6], "the last one when it ends");
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  assert.match(
    await metrics.text(),
    /checkpoints_sent_total\{destination="file",result="ok"\} [3-9]/,
  );
  const { checkpoints } = await readKeptCheckpoints(linesOf(await readFile(path, "utf8")), path);
  const report = verify(await log.exportOf(one.id), { checkpoints });
  assert.deepEqual(report.findings, []);
  assert.equal(report.checkpoints, 3);
});

test("nothing is written through a symbolic link", async (t) => {
  await newLog(1);
  const target = join(folder, "elsewhere");
  await symlink(target, join(folder, "link"));
  const { lines } = start(t, { FILE: join(folder, "link") });
  await eventually(() => lines.some((line) => line.includes("can't be sent")));
  await assert.rejects(stat(target), { code: "ENOENT" });
});

/** Answers POSTs by `statuses`, then 204; keeps what came. */
function receiver(statuses: number[]) {
  const posts: { body: string; request: IncomingMessage }[] = [];
  const handle = (request: IncomingMessage, response: ServerResponse): void => {
    void Array.fromAsync(request).then((chunks) => {
      posts.push({ body: Buffer.concat(chunks as Buffer[]).toString("utf8"), request });
      response.writeHead(statuses.shift() ?? 204, { location: "/elsewhere" }).end();
    });
  };
  return { posts, handle };
}

test("a URL gets each as text, and the newest in place of one that failed", async (t) => {
  const one = await newLog(1);
  const statuses = [503, 307];
  const { posts, handle } = receiver(statuses);
  const port = await listen(t, createServer(handle));
  const { lines, metrics } = start(t, { URL: `http://ada:p%40ss@127.0.0.1:${port}/checkpoints` });
  await eventually(() => posts.length > 0);
  await one.grow(4);
  await eventually(() => one.sizesIn(posts.slice(2).map(({ body }) => body)).includes(5));
  const accepted = one.sizesIn(posts.slice(2).map(({ body }) => body));
  assert.ok(!accepted.includes(1), "the older one isn't sent any more");
  const { headers, url, method } = posts.at(-1)?.request ?? {};
  assert.deepEqual([method, url], ["POST", "/checkpoints"]);
  assert.equal(headers?.["content-type"], "text/plain; charset=utf-8");
  assert.equal(headers["authorization"], `Basic ${btoa("ada:p@ss")}`);
  await eventually(() => lines.some((line) => line.includes("are sent again")));
  assert.equal(lines.filter((line) => line.includes("can't be sent")).length, 1);
  assert.match(lines.join(), /"errorCode":"HTTP_503"/);
  assert.doesNotMatch(lines.join(), /p@ss|p%40ss|127\.0\.0\.1/);
  assert.match(await metrics.text(), /destination="url",result="failed"\}/);
});

test("over TLS, a URL's and a syslog server's certificates have to hold", async (t) => {
  const one = await newLog(1);
  const { posts, handle } = receiver([]);
  const good = await listen(t, createTlsServer(await authority.issue(), handle));
  const untrustedAuthority = await createAuthority();
  t.after(() => untrustedAuthority.remove());
  const bad = await listen(t, createTlsServer(await untrustedAuthority.issue(), handle));
  const badSyslog = await listen(t, createTlsStream(await untrustedAuthority.issue()));
  const refused = [
    start(t, { URL: `https://localhost:${bad}/` }),
    start(t, { SYSLOG: `tls://localhost:${badSyslog}` }),
  ];
  for (const { lines } of refused) {
    await eventually(() =>
      lines.some((line) => /can't be sent.*CERT|can't be sent.*UNABLE/.test(line)),
    );
  }
  assert.deepEqual(posts, []);
  start(t, { URL: `https://localhost:${good}/` });
  await eventually(() => one.sizesIn(posts.map(({ body }) => body)).length === 1);
});

/** The messages in octet-counted frames (RFC 6587, 3.4.1). */
function unframed(bytes: Buffer): string[] {
  const messages: string[] = [];
  for (let at = 0; at < bytes.length;) {
    const space = bytes.indexOf(0x20, at);
    const length = Number(bytes.subarray(at, space).toString("latin1"));
    assert.ok(Number.isInteger(length) && length > 0);
    messages.push(bytes.subarray(space + 1, space + 1 + length).toString("utf8"));
    at = space + 1 + length;
  }
  return messages;
}

const MESSAGE =
  /^<110>1 \d{4}-\d\d-\d\dT[\d:.]+Z [!-~]+ x3sproxy \d+ checkpoint - \{"note":"[ -~]+"\}$/;

test("a syslog server gets each as one message, over UDP, TCP and TLS", async (t) => {
  const one = await newLog(3);
  const streams: Buffer[] = [];
  const keep = (socket: Socket): void => {
    socket.on("data", (chunk: Buffer) => streams.push(chunk)).on("end", () => socket.end());
  };
  const tcp = await listen(t, createTcpServer(keep));
  const tls = await listen(t, createTlsStream(await authority.issue(), keep));
  for (const address of [`tcp://127.0.0.1:${tcp}`, `tls://localhost:${tls}`]) {
    streams.length = 0;
    const { close } = start(t, { SYSLOG: address });
    await eventually(() => streams.length > 0);
    await close();
    const messages = unframed(Buffer.concat(streams));
    for (const message of messages) assert.match(message, MESSAGE);
    assert.deepEqual(one.sizesIn(await notesIn(messages.join("\n"))), [3], address);
  }
  const datagrams: string[] = [];
  const udp = createSocket("udp4").on("message", (message) => datagrams.push(message.toString()));
  udp.bind(0, "127.0.0.1");
  await once(udp, "listening");
  t.after(() => udp.close());
  start(t, { SYSLOG: `udp://127.0.0.1:${udp.address().port}` });
  await eventually(async () => one.sizesIn(await notesIn(datagrams.join("\n"))).length === 1);
  for (const message of datagrams) assert.match(message, MESSAGE);
});

test("a syslog server is not waited for once the service ends", async (t) => {
  const udp = createSocket("udp4").bind(0, "127.0.0.1");
  await once(udp, "listening");
  t.after(() => udp.close());
  udp.on("message", () => assert.fail("it was sent all the same"));
  for (const protocol of ["udp", "tcp", "tls"] as const) {
    const server = { protocol, host: "127.0.0.1", port: udp.address().port };
    const sending = syslogDestination(server).send(["a note"], AbortSignal.abort());
    await assert.rejects(sending, { name: "AbortError" });
  }
  const silent = await listen(
    t,
    createTcpServer(() => undefined),
  );
  const ending = new AbortController();
  const server = { protocol: "tls", host: "127.0.0.1", port: silent } as const;
  const sending = syslogDestination(server).send(["a note"], ending.signal);
  setTimeout(() => ending.abort(), 50);
  await assert.rejects(sending, { name: "AbortError" });
});

test("a destination that never answers holds up neither the sealing nor another one", async (t) => {
  const one = await newLog(1);
  const silent = await listen(
    t,
    createTcpServer(() => undefined),
  );
  const path = join(folder, "beside");
  start(t, { URL: `http://127.0.0.1:${silent}/`, FILE: path });
  await one.grow(1);
  await eventually(async () => {
    const text = await readFile(path, "utf8").catch(() => "");
    return one.sizesIn(await notesIn(text)).includes(2);
  });
});

test("a file that nobody reads from, or that hangs, doesn't keep the service from ending", async (t) => {
  await newLog(1);
  const path = join(folder, "pipe");
  execFileSync("mkfifo", [path]);
  const { lines, close } = start(t, { FILE: path });
  await eventually(() => lines.some((line) => line.includes("can't be sent")));
  await close();
  // As a network file system without its server does.
  const hanging = createCheckpointSending({
    ...{ pool: log.pool, metrics: createMetrics() },
    destinations: [{ name: "file", send: () => new Promise<never>(() => undefined) }],
    log: createLog({ level: "silent" }),
  });
  await hanging.look();
  await hanging.close();
});

test("another checkpoint of the same size is sent, too: it shows that the log was rewritten", async (t) => {
  const one = await newLog(2);
  const path = join(folder, "rewritten");
  start(t, { FILE: path });
  const kept = async (): Promise<number[]> =>
    one.sizesIn(await notesIn(await readFile(path, "utf8").catch(() => "")));
  await eventually(async () => (await kept()).length === 1);
  const forged = { origin: originOfLog(one.id), size: 2, root: Buffer.alloc(32) };
  await log.owner(
    (sql) => sql`
      update x3sproxy.audit_checkpoints set note = ${signCheckpoint(forged, log.signer)}
      where workspace_id = ${one.id}`,
  );
  await eventually(async () => (await kept()).length === 2);
});

test("what a failure left half written spoils no later one", async (t) => {
  const one = await newLog(2);
  const path = join(folder, "half");
  const broken = "x3sproxy/audit/00000000-0000-4000-8000-000000000001\n12";
  await writeFile(path, broken, { mode: 0o600 });
  start(t, { FILE: path });
  await eventually(async () => {
    const { checkpoints } = await readKeptCheckpoints(
      linesOf(await readFile(path, "utf8")),
      "kept",
    );
    return one.sizesIn(checkpoints.map(({ note }) => note)).includes(2);
  });
});

test("settings that can't be are refused when the service starts", () => {
  const bad = {
    X3SPROXY_CHECKPOINT_URL: [
      "http://example.com/",
      "ftp://x/",
      "x",
      "http://127.0.0.1.example.com/",
    ],
    X3SPROXY_CHECKPOINT_SYSLOG: [
      "host:514",
      "http://host",
      "udp://",
      "tcp://host:99999",
      "tcp://host/x",
    ],
    X3SPROXY_CHECKPOINT_INTERVAL: ["0s", "soon"],
  };
  for (const [name, values] of Object.entries(bad)) {
    for (const value of values) {
      assert.throws(() => readConfig({ [name]: value }), ConfigError, `${name}=${value}`);
    }
  }
  const { checkpoints } = readConfig({ X3SPROXY_CHECKPOINT_SYSLOG: "tls://[2001:db8::1]" });
  assert.deepEqual(checkpoints.syslog, { protocol: "tls", host: "2001:db8::1", port: 6514 });
  assert.equal(checkpoints.intervalMs, 60_000);
});
