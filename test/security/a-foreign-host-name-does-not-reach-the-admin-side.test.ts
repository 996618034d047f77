// DNS rebinding: a page of evil.example whose name suddenly resolves to 127.0.0.1 could talk to the admin side.
import assert from "node:assert/strict";
import { connect } from "node:net";
import { it } from "node:test";
import { openAdmin } from "../admin/fixture.ts";

/** The status that a request with these lines gets; undefined when the connection ends without an answer. */
async function statusOf(port: number, ...lines: string[]): Promise<number | undefined> {
  const socket = connect(port, "127.0.0.1");
  socket.setEncoding("latin1");
  socket.write([...lines, "Connection: close", "", ""].join("\r\n"));
  let text = "";
  for await (const chunk of socket) text += String(chunk);
  const status = /^HTTP\/1\.1 (\d{3}) /.exec(text)?.[1];
  return status === undefined ? undefined : Number(status);
}

it("only the dashboard's name, the address that was connected to and the local machine are answered", async (t) => {
  const { port, apiKey } = await openAdmin(t);
  const withHost = (host: string) =>
    statusOf(
      port,
      "GET /api/v1/whoami HTTP/1.1",
      `Host: ${host}`,
      `Authorization: Bearer ${apiKey}`,
    );
  for (const host of [
    `127.0.0.1:${port}`,
    `localhost:${port}`,
    "LOCALHOST",
    "[::1]:8788",
    "x3s.example.test",
    "X3S.example.test:443",
  ]) {
    assert.equal(await withHost(host), 200, host);
  }
  for (const host of [
    "evil.example",
    `evil.example:${port}`,
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "x3s.example.test.evil.example",
    "evil.example/localhost",
    "localhost/evil.example",
    "localhost@evil.example",
    "evil.example@localhost",
    "evil.example#localhost",
    "localhost#evil.example",
    "localhost, evil.example",
    "10.0.0.1",
    "[::]",
    "0.0.0.0",
    "",
  ]) {
    assert.equal(await withHost(host), 421, `Host: ${host}`);
  }
  assert.equal(await statusOf(port, "GET /api/v1/whoami HTTP/1.1"), 400);
  assert.equal(await statusOf(port, "GET /api/v1/whoami HTTP/1.0"), 421);
});

it("pages and the setup form are behind the same check", async (t) => {
  const { port } = await openAdmin(t);
  for (const line of ["GET /setup", "POST /api/v1/setup", "GET /no-such-page"]) {
    assert.equal(await statusOf(port, `${line} HTTP/1.1`, "Host: evil.example"), 421, line);
  }
});
