import assert from "node:assert/strict";
import { createServer, type IncomingMessage, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { it, type TestContext } from "node:test";
import { openCli, runCli } from "./fixture.ts";

const isDeployment = ({ method }: IncomingMessage): boolean => method === "POST";

/** The command line with something before the admin side that deals with each deployment in `fault`, as often as it returns true. */
async function openBehind(
  t: TestContext,
  fault: (n: number, ...on: Parameters<RequestListener>) => boolean,
) {
  const { url, environment, call } = await openCli(t);
  const keys: (string | string[] | undefined)[] = [];
  const between = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      void fetch(url + (request.url ?? ""), {
        method: request.method ?? "GET",
        headers: Object.entries(request.headers).flatMap(([name, value]): [string, string][] =>
          /^(authorization|content-type|idempotency-key)$/.test(name) && typeof value === "string"
            ? [[name, value]]
            : [],
        ),
        ...(chunks.length > 0 && { body: Buffer.concat(chunks) }),
      }).then(async (answer) => {
        const text = await answer.text();
        if (isDeployment(request)) {
          keys.push(request.headers["idempotency-key"]);
          if (fault(keys.length, request, response)) return;
        }
        response.writeHead(answer.status, { "content-type": "application/json" }).end(text);
      });
    });
  });
  await new Promise<void>((resolve) => between.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    between.closeAllConnections();
    between.close();
  });
  const { port } = between.address() as AddressInfo;
  const deploy = () =>
    runCli(["agent", "deploy", "coder", "--json"], {
      environment: { ...environment, X3SPROXY_ADMIN_URL: `http://127.0.0.1:${port}` },
    });
  return { deploy, call, keys };
}

for (const [what, fault] of [
  [
    "a connection that breaks before the answer",
    (n, request) => n === 1 && (request.socket.destroy(), true),
  ],
  [
    "a connection that breaks within the answer",
    (n, _, response) => {
      if (n > 1) return false;
      response.writeHead(201, { "content-length": 10_000 }).write('{"agent":');
      setImmediate(() => response.destroy());
      return true;
    },
  ],
  [
    "a 503",
    (n, _, response) =>
      n === 1 && (response.writeHead(503, { "retry-after": "0" }).end("{}"), true),
  ],
] as const satisfies [string, (n: number, ...on: Parameters<RequestListener>) => boolean][]) {
  it(`after ${what} the deployment is asked for once more, under the same key, and not made twice`, async (t) => {
    const { deploy, call, keys } = await openBehind(t, fault);
    const { status, stdout, stderr } = await deploy();
    assert.equal(status, 0, stderr);
    assert.match(stdout, /"token": "x3sproxy_\w{32}"/);
    assert.equal(keys.length, 2);
    assert.equal(keys[0], keys[1]);
    assert.match(String(keys[0]), /^[\x21-\x7e]{16,200}$/);
    assert.partialDeepStrictEqual((await call("GET", "/api/v1/agents")).body, {
      agents: [{ deployment: 1 }],
    });
  });
}

it("it is asked for no third time, and each deployment has a key of its own", async (t) => {
  const { deploy, keys } = await openBehind(t, (_, request) => (request.socket.destroy(), true));
  assert.equal((await deploy()).status, 1);
  assert.equal(keys.length, 2);
  await deploy();
  assert.notEqual(keys[0], keys[2]);
});
