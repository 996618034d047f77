import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { it, type TestContext } from "node:test";
import { connect, createServer, type TLSSocket } from "node:tls";
import { createPool } from "../../src/db/index.ts";
import { housekeepingJobs } from "../../src/housekeeping.ts";
import { openCertificate } from "../../src/platform/certificate.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { createLog } from "../../src/platform/log.ts";
import { createMetrics } from "../../src/platform/metrics.ts";
import { createAuthority } from "../support/authority.ts";

const WARN = 40;
const silent = createLog({ level: "silent" });

/** A TLS server that shows the certificate and echoes. */
async function openServer(t: TestContext) {
  const authority = await createAuthority();
  const files = await authority.issueFiles();
  const lines: { level: number; msg: string }[] = [];
  const log = createLog({
    level: "debug",
    destination: { write: (line) => lines.push(JSON.parse(line) as (typeof lines)[number]) },
  });
  const certificate = await openCertificate(files, { log, clock: systemClock });
  const server = createServer(certificate.options, (socket) => {
    socket.on("error", () => undefined);
    socket.pipe(socket);
  }).listen(0, "127.0.0.1");
  certificate.keepCurrent(server);
  await once(server, "listening");
  const sockets: TLSSocket[] = [];
  t.after(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, "close");
    await authority.remove();
  });
  return {
    ...{ authority, files, certificate },
    warnings: () => lines.filter(({ level }) => level === WARN).map(({ msg }) => msg),
    messages: () => lines.map(({ msg }) => msg),
    open: async (): Promise<TLSSocket> => {
      const { port } = server.address() as AddressInfo;
      const socket = connect({ port, host: "127.0.0.1", ca: authority.certificate });
      sockets.push(socket);
      await once(socket, "secureConnect");
      return socket;
    },
  };
}

function shown(socket: TLSSocket): string {
  return socket.getPeerCertificate().fingerprint256;
}

function fingerprint(pem: string): string {
  return new X509Certificate(pem).fingerprint256;
}

it("new connections see the new pair; an open one goes on; without a change nothing happens", async (t) => {
  const { authority, files, certificate, open, messages } = await openServer(t);
  const early = await open();
  assert.equal(shown(early), fingerprint(files.cert));
  await certificate.look();
  assert.deepEqual(messages(), []);

  const renewed = await authority.issueFiles();
  await certificate.look();
  await certificate.look();
  assert.deepEqual(messages(), ["the certificate was renewed"]);
  assert.equal(shown(await open()), fingerprint(renewed.cert));
  early.write("still here");
  assert.equal(String((await once(early, "data"))[0]), "still here");
});

it("a broken new pair is logged by name, once, and the one before stays until a good one comes", async (t) => {
  const { authority, files, certificate, open, warnings } = await openServer(t);
  const { cert, key } = await authority.issue();
  // As between the two writes of a renewal.
  await writeFile(files.certFile, cert);
  for (let i = 0; i < 3; i++) await certificate.look();
  assert.equal(warnings().length, 1);
  assert.match(warnings()[0] ?? "", /^X3SPROXY_TLS_KEY_FILE: .* stays in use$/);
  assert.equal(shown(await open()), fingerprint(files.cert));
  await writeFile(files.certFile, "nothing");
  await certificate.look();
  assert.match(warnings()[1] ?? "", /^X3SPROXY_TLS_CERT_FILE: .* stays in use$/);
  assert.equal(shown(await open()), fingerprint(files.cert));
  await writeFile(files.certFile, cert);
  await writeFile(files.keyFile, key);
  await certificate.look();
  assert.equal(shown(await open()), fingerprint(cert));
  assert.equal(warnings().length, 2);
});

it("the files are looked at every minute", async (t) => {
  const { authority, certificate, messages } = await openServer(t);
  const { clock, log, metrics } = { clock: systemClock, log: silent, metrics: createMetrics() };
  const pool = createPool("postgres://nobody@127.0.0.1:1/none", { max: 1 });
  t.after(() => pool.close());
  const checkpoints = { file: undefined, url: undefined, syslog: undefined, intervalMs: 60_000 };
  // Of the jobs, only the row of the certificate is used here: the others never run.
  const jobs = housekeepingJobs({
    ...{ pool, checkpoints, certificate, clock, log, metrics },
    keyRotation: { run: never, close: never },
    sequencer: { run: never, seal: never, isDamaged: () => false },
  });
  const job = jobs.find(({ name }) => name === "certificate");
  assert.equal(job?.everyMs, 60_000);
  await authority.issueFiles();
  assert.deepEqual(messages(), []);
  await job.run(new AbortController().signal);
  assert.deepEqual(messages(), ["the certificate was renewed"]);
});

function never(): never {
  throw new Error("only the certificate's job runs here");
}
