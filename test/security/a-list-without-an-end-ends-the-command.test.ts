// A service that lies may answer one page after another for ever. The command line must end, and not fill its memory.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { it } from "node:test";
import { runCli } from "../cli/fixture.ts";

const CURSORS: Readonly<Record<string, (page: number) => string>> = {
  "the same again and again": () => "again",
  "one of two in turns": (page) => `cursor-${page % 2}`,
  "always another": (page) => `cursor-${page}`,
};

for (const [name, cursorOf] of Object.entries(CURSORS)) {
  it(`cursors: ${name}`, async (t) => {
    let pages = 0;
    const server = createServer((_, response) => {
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify({ agents: [], total: 0, nextCursor: cursorOf(pages++) }));
    });
    t.after(() => server.close());
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const { status, stdout, stderr } = await runCli(["agent", "list"], {
      environment: {
        X3SPROXY_ADMIN_URL: `http://127.0.0.1:${port}`,
        X3SPROXY_API_KEY: "x3sapi_FAKE0123456789abcdefghijklmnop",
      },
    });
    assert.equal(status, 1);
    assert.equal(stdout, "");
    assert.match(stderr, /list does not end/);
    assert.ok(pages <= 2_000, `${pages} pages were asked for`);
  });
}
