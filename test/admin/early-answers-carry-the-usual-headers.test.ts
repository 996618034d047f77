// What is refused before the service knows what is asked carries the same security headers as everything else.
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { it } from "node:test";
import { connect as connectTls } from "node:tls";
import { openCertificate } from "../../src/platform/certificate.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { createLog } from "../../src/platform/log.ts";
import { createAuthority } from "../support/authority.ts";
import { openAdmin } from "./fixture.ts";

const HOST = "host: 127.0.0.1\r\n";
const EARLY: readonly [name: string, request: string, status: number][] = [
  ["a path that can't be decoded", `GET /api/v1/secrets/%zz HTTP/1.1\r\n${HOST}\r\n`, 400],
  [
    "a parameter that is too long",
    `DELETE /api/v1/agents/${"a".repeat(300)} HTTP/1.1\r\n${HOST}\r\n`,
    404,
  ],
  [
    "a header that is too long",
    `GET / HTTP/1.1\r\n${HOST}x-long: ${"a".repeat(20_000)}\r\n\r\n`,
    431,
  ],
  ["no HTTP at all", "\x16\x03\x01 hello\r\n\r\n", 400],
  ["a header that is none", `GET / HTTP/1.1\r\n${HOST}a b: c\r\n\r\n`, 400],
  ["no Host", "GET / HTTP/1.1\r\n\r\n", 400],
  [
    "an expectation that is not known",
    `GET /nothing HTTP/1.1\r\n${HOST}expect: a surprise\r\n\r\n`,
    404,
  ],
];
/** Those that a request brings about, and not we. */
const OWN = ["content-type", "content-length", "date", "connection", "keep-alive", "retry-after"];

/** The status, and the headers but for those of the body and the connection. */
async function ask(socket: Socket, request: string) {
  socket.setEncoding("latin1");
  socket.on("error", () => undefined); // a reset behind an answer
  let text = "";
  socket.on("data", (chunk: string) => {
    text += chunk;
    if (text.includes("\r\n\r\n")) socket.destroy();
  });
  socket.write(request);
  await once(socket, "close");
  const [status = "", ...lines] = (text.split("\r\n\r\n")[0] ?? "").split("\r\n");
  const fields = lines.map((line) => /^([^:]+): (.*)$/.exec(line)?.slice(1, 3) ?? [line, ""]);
  const headers = fields.filter(([name = ""]) => !OWN.includes(name.toLowerCase()));
  return {
    status: Number(/^HTTP\/1\.1 (\d{3}) /.exec(status)?.[1]),
    headers: Object.fromEntries(headers) as Record<string, string>,
  };
}

for (const scheme of ["http", "https"]) {
  it(`over ${scheme} early answers carry exactly the headers of ordinary ones`, async (t) => {
    const { port } = await openAdmin(t, { dashboardUrl: `${scheme}://localhost:8788` });
    const dial = () => connect(port, "127.0.0.1");
    const ordinary = await ask(dial(), `GET /nothing HTTP/1.1\r\n${HOST}\r\n`);
    assert.equal(ordinary.status, 404);
    assert.ok("content-security-policy" in ordinary.headers);
    assert.equal("strict-transport-security" in ordinary.headers, scheme === "https");
    for (const [name, request, status] of EARLY) {
      assert.deepEqual(await ask(dial(), request), { ...ordinary, status }, name);
    }
  });
}

it("with a certificate of its own, too", async (t) => {
  const authority = await createAuthority();
  t.after(() => authority.remove());
  const log = createLog({ level: "silent" });
  const files = await authority.issueFiles();
  const certificate = await openCertificate(files, { log, clock: systemClock });
  const { port } = await openAdmin(t, { certificate });
  const dial = () => connectTls({ port, host: "127.0.0.1", ca: authority.certificate });
  const ordinary = await ask(dial(), `GET /nothing HTTP/1.1\r\n${HOST}\r\n`);
  assert.ok("strict-transport-security" in ordinary.headers);
  for (const [name, request, status] of EARLY) {
    assert.deepEqual(await ask(dial(), request), { ...ordinary, status }, name);
  }
});
