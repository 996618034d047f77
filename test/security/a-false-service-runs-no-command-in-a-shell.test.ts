// `eval "$(x3sproxy agent deploy …)"` runs what the service answers. A service that lies, or who stands before it on plain HTTP, must not
// run a command by that, nor set a variable that means something to the shell or the system.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { it, type TestContext } from "node:test";
import { promisify } from "node:util";
import { openCli, runCli } from "../cli/fixture.ts";

const COMMAND = "echo taken over";

type Json = Record<string, unknown>;
type Lie = (answer: { provider: Json; client: Json; agent: Json; top: Json }) => void;

const LIES: Readonly<Record<string, Lie>> = {
  "a key's variable that loads code": ({ client }) => (client["keyVariable"] = "LD_PRELOAD"),
  "a URL's variable that is the path": ({ client }) => (client["baseUrlVariable"] = "PATH"),
  "a variable with a command": ({ client }) => (client["keyVariable"] = `A_KEY=1;${COMMAND};B_KEY`),
  "a variable with a line break": ({ client }) => (client["keyVariable"] = `A_KEY\n${COMMAND}\n`),
  "a base URL that ends its quotation marks": ({ provider }) =>
    (provider["baseUrl"] = `http://x/';${COMMAND};'`),
  "a base URL with a line break": ({ provider }) => (provider["baseUrl"] = `http://x/\n${COMMAND}`),
  "a base path that ends them": ({ client }) => (client["basePath"] = `/v1';${COMMAND};'`),
  "a provider's name with a line break": ({ provider }) => (provider["name"] = `x\n${COMMAND}`),
  "an agent's name with a line break": ({ agent }) => (agent["name"] = `coder\n${COMMAND}`),
  "an environment with a line break": ({ agent }) =>
    (agent["environment"] = `production\n${COMMAND}`),
  "a token that ends them": ({ top }) => (top["token"] = `x3sproxy_';${COMMAND};'`),
  "an end with a line break": ({ top }) => (top["expiresAt"] = `2030\n${COMMAND}\n`),
  "an end with a carriage return": ({ top }) => (top["expiresAt"] = `2030\r${COMMAND}\r`),
};

it("whatever it answers, nothing of it is run", async (t) => {
  const { url, environment, json, run } = await openCli(t);
  await run(["secret", "set", "anthropic"], "FAKE-key-of-the-test-0001");
  await json(["agent", "deploy", "coder"]);
  const honest = await taken(await runCli(["agent", "deploy", "coder"], { environment }));
  assert.deepEqual(honest.set, ["ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "X3SPROXY_TOKEN"]);
  for (const [name, lie] of Object.entries(LIES)) {
    const between = { ...environment, X3SPROXY_ADMIN_URL: await openLiar(t, url, lie) };
    const { said, set } = await taken(
      await runCli(["agent", "deploy", "coder"], { environment: between }),
    );
    assert.doesNotMatch(said, /^taken over$/m, name);
    for (const variable of set) {
      assert.match(variable, /^(?:ANTHROPIC_API_KEY|ANTHROPIC_BASE_URL|X3SPROXY_TOKEN)$/, name);
    }
  }
});

/** What a shell says, and which variables it has set, that evaluates the output. */
async function taken({ stdout }: { stdout: string }): Promise<{ said: string; set: string[] }> {
  const script = 'unset LD_PRELOAD; eval "$1"; /usr/bin/env -0';
  const ended = await promisify(execFile)("sh", ["-c", script, "sh", stdout], {
    env: { PATH: "/usr/bin:/bin" },
  }).catch((error: unknown) => error as { stdout: string });
  const names = ended.stdout.split("\0").map((pair) => pair.split("=", 1)[0] ?? "");
  const usual = new Set(["PATH", "PWD", "OLDPWD", "SHLVL", "_", ""]);
  const isPathKept = ended.stdout.includes("PATH=/usr/bin:/bin\0");
  return {
    said: ended.stdout,
    set: [...names.filter((name) => !usual.has(name)), ...(isPathKept ? [] : ["PATH"])].sort(),
  };
}

/** A service that passes everything on, and lies in what it answers. */
async function openLiar(t: TestContext, url: string, lie: Lie): Promise<string> {
  const passOn = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const { authorization = "", "idempotency-key": key } = request.headers;
    const answer = await fetch(url + (request.url ?? ""), {
      method: request.method ?? "GET",
      headers: {
        authorization,
        ...(parts.length > 0 && { "content-type": "application/json" }),
        ...(typeof key === "string" && { "idempotency-key": key }),
      },
      ...(parts.length > 0 && { body: Buffer.concat(parts) }),
    });
    const top = (await answer.json()) as Json;
    const providers = (top["providers"] ?? []) as Json[];
    const provider = providers.find(({ name }) => name === "anthropic") ?? {};
    const agent = (top["agent"] ?? (top["agents"] as Json[] | undefined)?.[0] ?? {}) as Json;
    lie({ provider, client: (provider["client"] ?? {}) as Json, agent, top });
    response.writeHead(answer.status, { "content-type": "application/json" });
    response.end(JSON.stringify(top));
  };
  const server = createServer((request, response) => {
    passOn(request, response).catch((error: unknown) => response.destroy(error as Error));
  });
  t.after(() => server.close());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
