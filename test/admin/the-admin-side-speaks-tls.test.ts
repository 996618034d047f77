import assert from "node:assert/strict";
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { request } from "node:https";
import { connect as connectPlain } from "node:net";
import { it, type TestContext } from "node:test";
import { connect, type ConnectionOptions } from "node:tls";
import { openCertificate } from "../../src/platform/certificate.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { createLog } from "../../src/platform/log.ts";
import { createAuthority } from "../support/authority.ts";
import { openAdmin } from "./fixture.ts";

async function open(t: TestContext) {
  const authority = await createAuthority();
  t.after(() => authority.remove());
  const log = createLog({ level: "silent" });
  const certificate = await openCertificate(await authority.issueFiles(), {
    log,
    clock: systemClock,
  });
  const admin = await openAdmin(t, { certificate });
  const dial = (options: ConnectionOptions = {}) =>
    connect({ port: admin.port, host: "127.0.0.1", ca: authority.certificate, ...options });
  const get = async (path: string) => {
    const asking = request(admin.url + path, {
      ca: authority.certificate,
      agent: false,
      headers: { authorization: `Bearer ${admin.apiKey}` },
    }).end();
    const [answer] = (await once(asking, "response")) as [IncomingMessage];
    answer.setEncoding("utf8");
    let text = "";
    for await (const chunk of answer) text += String(chunk);
    return { status: answer.statusCode, headers: answer.headers, text };
  };
  return { ...admin, authority, certificate, dial, get };
}

it("with a certificate the REST API and the pages are served over TLS 1.3 alone", async (t) => {
  const { dial, get, port } = await open(t);
  const whoami = await get("/api/v1/whoami");
  assert.equal(whoami.status, 200, whoami.text);
  assert.equal((await get("/")).status, 200);
  const socket = dial();
  await once(socket, "secureConnect");
  assert.equal(socket.getProtocol(), "TLSv1.3");
  socket.destroy();
  const old = dial({ maxVersion: "TLSv1.2" });
  await assert.rejects(once(old, "secureConnect"));
  const plain = connectPlain(port, "127.0.0.1");
  plain.on("error", () => undefined);
  plain.write("GET / HTTP/1.1\r\nhost: localhost\r\n\r\n");
  let text = "";
  plain.setEncoding("latin1").on("data", (chunk: string) => (text += chunk));
  await once(plain, "close");
  assert.ok(!text.includes("HTTP/1.1"), "nothing is said in plain");
});

it("what is not HTTP within TLS gets a problem document", async (t) => {
  const { dial } = await open(t);
  const socket = dial();
  socket.setEncoding("latin1");
  socket.end("nonsense\r\n\r\n");
  let text = "";
  for await (const chunk of socket) text += String(chunk);
  assert.match(text, /^HTTP\/1\.1 400 /);
  assert.match(text, /"code":"bad_request"/);
});

it("a renewed certificate is shown to new connections", async (t) => {
  const { authority, certificate, dial, get } = await open(t);
  const fingerprint = async (): Promise<string> => {
    const socket = dial();
    await once(socket, "secureConnect");
    const shown = socket.getPeerCertificate().fingerprint256;
    socket.destroy();
    return shown;
  };
  const before = await fingerprint();
  await authority.issueFiles();
  await certificate.look();
  assert.notEqual(await fingerprint(), before);
  assert.equal((await get("/api/v1/whoami")).status, 200);
});
