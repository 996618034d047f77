// `npm run demo`: the whole story in half a minute, on this machine alone. The service runs as it always does, with a
// Postgres of its own in a temporary folder; only the providers are look-alikes. Every step checks what it shows.
// `-- --keep` leaves it running, to be tried; `-- --fill` puts much into it first.
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs, styleText } from "node:util";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { readConfig } from "../src/platform/config.ts";
import { createLog } from "../src/platform/log.ts";
import { startEmbedded, type Embedded } from "../src/db/embedded.ts";
import { startService } from "../src/main.ts";
import type { Service } from "../src/service.ts";
import { fill } from "./fill.ts";
import { createLookAlike } from "./look-alike/look-alike.ts";

const LAUNCHER = fileURLToPath(new URL("../bin/x3sproxy.js", import.meta.url));
const USAGE = `npm run demo [-- --keep | --fill]

The whole story in half a minute, with look-alike providers and fake keys. Nothing leaves this machine.

  --keep  leaves it running afterwards, with a link to its dashboard, until Ctrl-C
  --fill  puts 60 keys and 200 agents into it, and leaves it running
  --help  shows this
`;

const OPTIONS = readOptions();
const FILL = OPTIONS.fill;
const KEEP = FILL || OPTIONS.keep;
const DEADLINE_MS = FILL ? 300_000 : 60_000;
const QUESTION = "Who are you, and which key was I called with? (pace:25)";

const KEYS = {
  openai: "sk-proj-FAKE-openai-key-of-the-demo-1111",
  anthropic: "sk-ant-api03-FAKE-anthropic-key-of-the-demo-2222",
  openaiRotated: "sk-proj-FAKE-second-openai-key-of-the-demo-3333",
};

/** A step did not go as promised. The message is for whoever watches. */
class BrokenPromise extends Error {}

function promised(kept: boolean, otherwise: string): asserts kept {
  if (!kept) throw new BrokenPromise(otherwise);
}

const cleanups: (() => Promise<unknown>)[] = [];
let steps = 0;
const interruption = Promise.withResolvers<undefined>();
let interrupted = false;

const print = (text: string): void => void process.stdout.write(text);
const line = (text = ""): void => print(`   ${text}\n`);
const step = (title: string): void => {
  promised(!interrupted, "it was interrupted");
  print(`\n${styleText("bold", `${++steps}  ${title}`)}\n`);
};
const shown = (text: string): void => line(`${styleText("green", "✓")} ${text}`);

function readOptions(): { fill: boolean; keep: boolean } {
  const flag = { type: "boolean", default: false } as const;
  try {
    const { values } = parseArgs({ options: { fill: flag, keep: flag, help: flag } });
    if (!values.help) return values;
    process.stdout.write(USAGE);
    process.exit(0);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
    process.exit(2);
  }
}

async function demo(): Promise<void> {
  print(
    `${styleText("bold", "x3sproxy demo")}: nothing leaves this machine, all keys are fakes.\n`,
  );

  step("Start a look-alike of the providers' APIs, and x3sproxy with its own Postgres");
  const lookAlike = createLookAlike({
    keys: { openai: [KEYS.openai], anthropic: [KEYS.anthropic] },
  });
  const origin = await lookAlike.listen();
  cleanups.push(() => lookAlike.close());
  const folder = await mkdtemp(join(tmpdir(), "x3sproxy-demo-"));
  cleanups.push(() => rm(folder, { recursive: true, force: true }));
  const dataDir = join(folder, "data");
  const database = FILL ? await startDatabase(join(folder, "database")) : undefined;
  const [proxyPort = 0, adminPort = 0, metricsPort = 0] = await freePorts(3);
  const settings = {
    X3SPROXY_DATA_DIR: dataDir,
    X3SPROXY_PROXY_ADDR: `127.0.0.1:${proxyPort}`,
    X3SPROXY_ADMIN_ADDR: `127.0.0.1:${adminPort}`,
    X3SPROXY_METRICS_ADDR: `127.0.0.1:${metricsPort}`,
    X3SPROXY_ORIGIN_OPENAI: origin,
    X3SPROXY_ORIGIN_ANTHROPIC: origin,
    X3SPROXY_ALLOW_PRIVATE_UPSTREAMS: "127.0.0.0/8",
    ...(database !== undefined && {
      DATABASE_URL: database.ownerUrl,
      X3SPROXY_MASTER_KEY: randomBytes(32).toString("base64"),
      X3SPROXY_DRAIN_DELAY: "0s",
    }),
  };
  let log = "";
  const destination = { write: (text: string) => void (log += text) };
  const service = await startService(
    readConfig(settings),
    createLog({ level: "info", destination }),
  );
  cleanups.push(() => service.stop());
  shown(`look-alike ${origin}, proxy ${service.proxyUrl}, admin ${service.adminUrl}`);

  if (database !== undefined) {
    step("Fill it: 60 keys and 200 agents, as if they had been at work for a week");
    const { ownerUrl } = database;
    const { secrets, agents } = await fill({
      ...{ ...service, dataDir, ownerUrl, openaiKey: KEYS.openai },
    });
    shown(`${secrets} keys, ${agents} agents`);
    tellHowToGoOn(service, settings);
    return;
  }

  step("Add the real keys: from standard input, stored sealed");
  const cli = (args: string[], input = "") => runCli(args, settings, input);
  line(await cli(["secret", "set", "openai"], KEYS.openai));
  line(await cli(["secret", "set", "anthropic"], KEYS.anthropic));

  step("Deploy an agent: it gets a token, and never sees a key");
  const deployed = JSON.parse(await cli(["agent", "deploy", "demo-agent", "--json"])) as {
    token: string;
    baseUrls: Record<string, string>;
  };
  const { token, baseUrls } = deployed;
  const shortToken = `${token.slice(0, 13)}…`;
  line(`OPENAI_BASE_URL=${baseUrls["openai"] ?? ""}/v1  OPENAI_API_KEY=${shortToken}`);
  line(`ANTHROPIC_BASE_URL=${baseUrls["anthropic"] ?? ""}  ANTHROPIC_API_KEY=${shortToken}`);
  promised(/^x3sproxy_[A-Za-z0-9]{32}$/.test(token), "the token does not have its form");

  step("The agent asks, with the official SDKs; the answers stream through the proxy");
  const settle = (baseURL = "") => ({ baseURL, apiKey: token, maxRetries: 0 });
  const openai = new OpenAI(settle(`${baseUrls["openai"] ?? ""}/v1`));
  const anthropic = new Anthropic(settle(baseUrls["anthropic"]));
  promised(
    (await askOpenAI(openai)).includes("…1111"),
    "OpenAI's look-alike did not see the real key",
  );
  promised(
    (await askAnthropic(anthropic)).includes("…2222"),
    "Anthropic's look-alike did not see the real key",
  );
  promised(
    !lookAlike.requests.some(({ rawHeaders, url }) =>
      `${url} ${rawHeaders.join(" ")}`.includes(token),
    ),
    "the agent's token went to a provider",
  );
  shown("the agent sent its token, the provider received the real key and nothing of the token");

  step("Rotate the OpenAI key: the agent notices nothing");
  lookAlike.setKeys("openai", [KEYS.openai, KEYS.openaiRotated]);
  line(await cli(["secret", "set", "openai"], KEYS.openaiRotated));
  lookAlike.setKeys("openai", [KEYS.openaiRotated]);
  await withinASecond("the next call did not use the new key", () =>
    openai.models.list().then(
      () => true,
      () => false,
    ),
  );
  promised((await askOpenAI(openai)).includes("…3333"), "the look-alike saw another key");
  shown("the same agent, the same token, the new key");

  if (KEEP) {
    tellHowToGoOn(service, settings);
    return;
  }

  step("Destroy the agent: its token is worth nothing any more");
  line(await cli(["agent", "destroy", "demo-agent"]));
  let refusal = "";
  await withinASecond("the token of a destroyed agent still worked", () =>
    openai.models.list().then(
      () => false,
      (error: unknown) => {
        if (!(error instanceof OpenAI.AuthenticationError)) throw error;
        refusal = error.message;
        return true;
      },
    ),
  );
  line(`${styleText("red", "openai")}     ${refusal}`);
  shown("refused, as the SDK's own AuthenticationError");

  step("Search the data folder and the log for the keys and the token");
  await service.stop();
  const searched = await searchFor([...Object.values(KEYS), token], dataDir, log);
  shown(`not in ${searched} files, not in ${log.split("\n").length - 1} lines of log`);

  print(`\n${styleText(["bold", "green"], "All went as promised.")} Begin for real: npm start\n`);
}

/** As `npm start` does before it starts. Without a build the dashboard's pages say so. */
async function buildDashboard(): Promise<void> {
  const script = fileURLToPath(new URL("../src/dashboard/build.ts", import.meta.url));
  const env = { ...process.env, NODE_ENV: "production" };
  await once(spawn(process.execPath, [script], { env, stdio: "inherit" }), "close");
}

/** For `--fill`: what time brings is put in as the database's owner. */
async function startDatabase(dataDir: string): Promise<Embedded> {
  await mkdir(dataDir, { mode: 0o755 });
  const database = await startEmbedded({ dataDir, log: createLog({ level: "silent" }) });
  cleanups.push(() => database.stop());
  return database;
}

function tellHowToGoOn(service: Service, settings: Readonly<Record<string, string>>): void {
  const own = ["X3SPROXY_DATA_DIR", "X3SPROXY_ADMIN_ADDR", "X3SPROXY_PROXY_ADDR"];
  print(`\n${styleText(["bold", "green"], "It goes on running, until Ctrl-C.")}\n`);
  line("The dashboard; the link makes the first user, once:");
  line(styleText("bold", service.setupUrl ?? service.adminUrl));
  line("In another terminal, for the command line:");
  line(`export ${own.map((name) => `${name}=${settings[name] ?? ""}`).join(" ")}`);
}

async function askOpenAI(client: OpenAI): Promise<string> {
  const stream = await client.chat.completions.create({
    model: "look-alike",
    messages: [{ role: "user", content: QUESTION }],
    stream: true,
  });
  print(`   ${styleText("cyan", "openai")}     `);
  let text = "";
  for await (const chunk of stream) {
    const piece = chunk.choices[0]?.delta.content ?? "";
    text += piece;
    print(piece);
  }
  print("\n");
  return text;
}

async function askAnthropic(client: Anthropic): Promise<string> {
  const stream = client.messages.stream({
    model: "look-alike",
    max_tokens: 100,
    messages: [{ role: "user", content: QUESTION }],
  });
  print(`   ${styleText("cyan", "anthropic")}  `);
  stream.on("text", print);
  const text = await stream.finalText();
  print("\n");
  return text;
}

/** Runs the command line as a user does, shows what was typed, and gives what it answered. */
async function runCli(
  args: readonly string[],
  settings: Readonly<Record<string, string>>,
  input: string,
): Promise<string> {
  line(styleText("dim", `$ x3sproxy ${args.join(" ")}${input === "" ? "" : " < key.txt"}`));
  const { PATH = "" } = process.env;
  const child = spawn(process.execPath, [LAUNCHER, ...args], { env: { PATH, ...settings } });
  child.stdin.end(input);
  let answer = "";
  let complaint = "";
  child.stdout.on("data", (data: Buffer) => (answer += data.toString()));
  child.stderr.on("data", (data: Buffer) => (complaint += data.toString()));
  await once(child, "close");
  promised(child.exitCode === 0, `x3sproxy ${args.join(" ")}: ${complaint.trim()}`);
  return answer.trim().replaceAll("\n", "\n   ");
}

/** Changes reach every proxy within a second: asks until then. */
async function withinASecond(otherwise: string, done: () => Promise<boolean>): Promise<void> {
  const until = Date.now() + 1000;
  while (!(await done())) {
    promised(Date.now() < until, otherwise);
    await sleep(20);
  }
}

/** Looks through every file of the folder and the log; gives the number of files. */
async function searchFor(words: readonly string[], folder: string, log: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  for (const word of words) promised(!log.includes(word), "the log holds a key or the token");
  for (const { parentPath, name } of files) {
    const content = await readFile(join(parentPath, name));
    for (const word of words) promised(!content.includes(word), `${name} holds a key or the token`);
  }
  return files.length;
}

async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, "127.0.0.1"));
  await Promise.all(servers.map((server) => once(server, "listening")));
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

function interrupt(): void {
  interrupted = true;
  interruption.resolve(undefined);
}

// One Ctrl-C can come twice: from the terminal, and passed on by npm.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, interrupt);
// Nobody reads any more. The folder with its keys has to go all the same.
for (const stream of [process.stdout, process.stderr]) stream.on("error", interrupt);
const deadline = sleep(DEADLINE_MS, undefined, { ref: false }).then(() =>
  promised(false, `it was not done after ${DEADLINE_MS / 1000} s`),
);
try {
  if (KEEP) await buildDashboard();
  await Promise.race([demo(), deadline]);
  if (KEEP) {
    // A promise alone keeps no process alive.
    const awake = setInterval(() => undefined, DEADLINE_MS);
    await interruption.promise;
    clearInterval(awake);
  }
} catch (error) {
  const reason = error instanceof Error ? error.message : String(error);
  print(`\n${styleText(["bold", "red"], `Step ${steps} did not go as promised:`)} ${reason}\n`);
  process.exitCode = 1;
} finally {
  for (const cleanup of cleanups.reverse()) {
    await cleanup().catch((error: unknown) => print(`   clean-up failed: ${String(error)}\n`));
  }
}
