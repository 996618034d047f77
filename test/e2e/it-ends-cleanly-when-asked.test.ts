// Ctrl-C in a terminal, SIGTERM from a supervisor: what is under way ends in its time, and then nothing is left. A crash
// leaves a Postgres behind, and the next start takes care of it.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { test, type TestContext } from "node:test";
import { createLookAlike } from "../../demo/look-alike/look-alike.ts";
import { eventually } from "../support/eventually.ts";
import {
  copyCheckout,
  isListening,
  postgresOf,
  processesIn,
  type Checkout,
  type Program,
} from "./checkout.ts";

const FAKE_KEY = "sk-proj-FAKE-openai-key-of-an-ending-5555";
const STREAM_MS = 1500;
const IN_A_FEW_SECONDS_MS = 5000;
// A real one, of util-linux.
const IN_A_TERMINAL = ["script", "-qfec", "npm start", "/dev/null"] as const;
const skip = process.platform !== "linux" && "needs Linux";

interface Running {
  readonly checkout: Checkout;
  readonly service: Program;
  /** Begins a stream of 1.5 s; resolves, when its first piece is there, to what gives the whole text. */
  readonly beginStream: (script?: string) => Promise<() => Promise<string>>;
}

test("Ctrl-C in a terminal", { skip }, async (t) => {
  const { service, beginStream, checkout } = await start(t, IN_A_TERMINAL);
  const rest = await beginStream();
  const startMs = performance.now();
  service.type("\x03");
  assertWhole(await rest());
  const status = await service.ended;
  assert.ok(performance.now() - startMs < STREAM_MS + IN_A_FEW_SECONDS_MS);
  // npm answers Ctrl-C with what a shell expects of it.
  assert.ok(status === 0 || status === 130, `exit status ${String(status)}`);
  assert.match(service.output.stdout, /"msg":"stopped"/);
  await assertNothingLeft(checkout);
});

test("Ctrl-C with nothing under way is quick", { skip }, async (t) => {
  const { service, checkout } = await start(t, IN_A_TERMINAL);
  const startMs = performance.now();
  service.type("\x03");
  await service.ended;
  assert.ok(performance.now() - startMs < 2000);
  await assertNothingLeft(checkout);
});

test("Ctrl-C again does not wait for what is under way", { skip }, async (t) => {
  const { service, beginStream, checkout } = await start(t, IN_A_TERMINAL);
  await beginStream("hang");
  service.type("\x03");
  await service.wrote(/"msg":"stopping"/);
  const again = setInterval(() => service.type("\x03"), 500);
  t.after(() => clearInterval(again));
  const startMs = performance.now();
  await service.ended;
  clearInterval(again);
  assert.ok(performance.now() - startMs < IN_A_FEW_SECONDS_MS);
  await assertNothingLeft(checkout);
});

for (const [title, command] of [
  ["SIGTERM to npm start", ["npm", "start"]],
  ["SIGTERM to the service itself", ["node", "bin/x3sproxy.js", "serve"]],
] as const) {
  test(title, { skip }, async (t) => {
    const { service, beginStream, checkout } = await start(t, command);
    const rest = await beginStream();
    const startMs = performance.now();
    service.signal("SIGTERM");
    await service.wrote(/"msg":"stopping"/);
    // Meanwhile it says that it takes nothing new, and that it lives.
    assert.equal((await fetch(`${checkout.metricsUrl}/readyz`)).status, 503);
    assert.equal((await fetch(`${checkout.metricsUrl}/healthz`)).status, 200);
    assertWhole(await rest());
    await service.ended;
    assert.ok(performance.now() - startMs < STREAM_MS + IN_A_FEW_SECONDS_MS);
    assert.match(service.output.stdout, /"msg":"stopped"/);
    await assertNothingLeft(checkout);
  });
}

test("after a kill -9 it starts again on what that left behind", { skip }, async (t) => {
  const { checkout, beginStream } = await start(t, ["npm", "start"]);
  await beginStream();
  const orphan = await postgresOf(checkout.dataDir);
  assert.ok(orphan !== undefined);
  process.kill(await servicePid(checkout), "SIGKILL");
  await eventually(async () => !(await isListening(checkout.proxyUrl)));
  assert.ok((await processesIn(checkout.dataDir)).includes(orphan), "Postgres is an orphan");

  const again = checkout.start("npm", "start");
  await again.wrote(/Ctrl-C stops it/);
  assert.ok(!(await processesIn(checkout.dataDir)).includes(orphan));
  assert.match((await checkout.run("npx x3sproxy agent list")).stdout, /^ending +production/m);
  process.kill(await servicePid(checkout), "SIGTERM");
  await again.ended;
  await assertNothingLeft(checkout);
});

async function start(t: TestContext, command: readonly [string, ...string[]]): Promise<Running> {
  const lookAlike = createLookAlike({ keys: { openai: [FAKE_KEY] } });
  const origin = await lookAlike.listen();
  t.after(() => lookAlike.close());
  const checkout = await copyCheckout(t, {
    ...{ name: "checkout", open: true, built: true },
    settings: {
      X3SPROXY_ORIGIN_OPENAI: origin,
      X3SPROXY_ALLOW_PRIVATE_UPSTREAMS: "127.0.0.0/8",
      X3SPROXY_LOG_FORMAT: "json", // on a terminal, too
      // For what is started without npm.
      PATH: `${dirname(process.execPath)}:/usr/bin:/bin`,
    },
  });
  const service = checkout.start(...command);
  await service.wrote(/Ctrl-C stops it/);
  return {
    checkout,
    service,
    async beginStream(script = `slow:15x${STREAM_MS / 15}`) {
      await checkout.run("npx x3sproxy secret set openai", FAKE_KEY);
      const deployed = await checkout.run("npx x3sproxy agent deploy ending --json");
      const { token } = JSON.parse(deployed.stdout) as { token: string };
      const response = await fetch(`${checkout.proxyUrl}/openai/v1/chat/completions`, {
        method: "POST",
        headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
        body: JSON.stringify({
          model: "look-alike-large",
          stream: true,
          messages: [{ role: "user", content: script }],
        }),
      });
      assert.equal(response.status, 200);
      const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
      assert.ok(reader);
      let text = (await reader.read()).value ?? "";
      return async () => {
        for (let read = await reader.read(); !read.done; read = await reader.read()) {
          text += read.value;
        }
        return text;
      };
    },
  };
}

function assertWhole(stream: string): void {
  assert.match(stream, /"content":"15 "/);
  assert.match(stream, /data: \[DONE\]\n\n$/);
}

async function assertNothingLeft(checkout: Checkout): Promise<void> {
  await eventually(async () => (await processesIn(checkout.folder)).length === 0, 2000);
  for (const url of [checkout.proxyUrl, checkout.adminUrl, checkout.metricsUrl]) {
    assert.equal(await isListening(url), false);
  }
  // A clean shutdown removes it.
  assert.equal(await postgresOf(checkout.dataDir), undefined);
}

async function servicePid({ dataDir }: Checkout): Promise<number> {
  return Number(await readFile(join(dataDir, "service.pid"), "utf8"));
}
