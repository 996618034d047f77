// x3sproxy serve: runs the service until a signal ends it. The log goes to standard output or where the settings say, one JSON
// object a line; what is for people goes to standard error.
import type { Command } from "commander";
import cluster from "node:cluster";
import { mkdirSync } from "node:fs";
import { dirname, isAbsolute, relative, resolve, sep } from "node:path";
import { setFlagsFromString } from "node:v8";
import { systemClock } from "../platform/clock.ts";
import { readConfig, type Config } from "../platform/config.ts";
import { ConfigError } from "../platform/errors.ts";
import { createLog, openLog, type Log } from "../platform/log.ts";
import type { Service } from "../service.ts";
import { examples } from "./output.ts";
import { crash, explainStart } from "./failure.ts";

const SAME_SIGNAL_MS = 1000;

export function addServeCommand(program: Command): void {
  program
    .command("serve")
    .description("start the proxy, the admin API and, without DATABASE_URL, a Postgres of its own")
    .addHelpText(
      "after",
      `${examples("x3sproxy serve", "X3SPROXY_PROXY_ADDR=0.0.0.0:8787 x3sproxy serve")}
\nAll settings are in docs/settings.md.`,
    )
    .action(serve);
}

async function serve(): Promise<void> {
  if (cluster.isWorker) return (await import("./worker.ts")).serveAsWorker();
  const config = readConfig();
  makeLogFolder(config);
  const destination = openLog(config.logFile, config.logFormat);
  const log = createLog({ level: config.logLevel, destination });
  for (const { what, fix } of config.doubts) log.warn(`${what} ${fix}`);
  process.once("uncaughtException", (error) => crash(error, log));
  const asked = Promise.withResolvers<undefined>();
  onFirstSignal(log, () => asked.resolve(undefined));
  // V8 learns where objects are made that live long, and makes them among the old ones from then on. Streams teach it that of a
  // request's own objects. After that every short request leaves its garbage there, and costs up to twice as much.
  setFlagsFromString("--no-allocation-site-pretenuring");
  const relay = (lines: string): void => {
    for (const line of lines.split(/(?<=\n)/)) destination.write(line);
  };
  // Imported here, since other commands don't need the service, and the first of several processes needs only a part.
  const starting =
    config.workers === 1
      ? import("../main.ts").then(({ startService }) => startService(config, log))
      : import("../first-process.ts").then(({ startWorkers }) =>
          startWorkers(config, log, { relay, complain }),
        );
  const service = await starting.catch(explainStart);
  // At a terminal the two are one: the banner comes between whole lines.
  await log.flush();
  process.stderr.write(banner(service, config));
  await asked.promise;
  await service.stop();
  await log.flush();
  process.exit(0);
}

/** The data folder isn't there before the first start, and its making is logged. */
function makeLogFolder({ dataDir, logFile }: Config): void {
  const folder = dirname(resolve(logFile));
  const within = relative(dataDir, folder);
  if (within === ".." || within.startsWith(`..${sep}`) || isAbsolute(within)) return;
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch (error) {
    const { code = "unknown error" } = error as NodeJS.ErrnoException;
    throw new ConfigError(`X3SPROXY_LOG_FILE: its folder can't be made (${code})`);
  }
}

/**
 * Tells of SIGINT, SIGTERM or SIGHUP (its terminal was closed); a second one ends the process at once, exit status 1. One
 * Ctrl-C can arrive twice: from the terminal, and passed on by npm.
 */
function onFirstSignal(log: Log, tell: () => void): void {
  let askedMs: number | undefined;
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => {
      const nowMs = systemClock.monotonicMs();
      if (askedMs === undefined) {
        askedMs = nowMs;
        log.info("stopping", { signal });
        tell();
      } else if (nowMs - askedMs > SAME_SIGNAL_MS) {
        process.exit(1);
      }
    });
  }
}

function complain(text: string): void {
  process.stderr.write(`x3sproxy: ${text}\n`);
}

function banner(service: Service, { publicUrl, dashboardUrl }: Config): string {
  const { proxyUrl, adminUrl, metricsUrl, dataDir, embedded, setupUrl, httpsNeeded } = service;
  const warning = httpsNeeded
    ? `
Nobody can sign in: browsers would come by plain http over a network. Give the service a certificate (X3SPROXY_TLS_CERT_FILE,
X3SPROXY_TLS_KEY_FILE), or put a TLS proxy in front and set X3SPROXY_DASHBOARD_URL to its https URL.
`
    : "";
  const setup =
    setupUrl === undefined
      ? ""
      : `
Make the first user (this link works once, for 24 hours):
  ${setupUrl}
`;
  return `
x3sproxy is running${embedded ? `, with a Postgres of its own. Data: ${dataDir}` : "."}
  proxy      ${proxyUrl}
  admin      ${adminUrl}
  metrics    ${metricsUrl}/metrics
  dashboard  ${dashboardUrl}/
${setup}${warning}
Next, in another terminal, in this folder and with the same X3SPROXY_ settings:
  npx x3sproxy secret set openai         add a real key (asks for it)
  npx x3sproxy agent deploy my-agent     prints a token, and what to set: paste those lines
  curl -H "Authorization: Bearer $X3SPROXY_TOKEN" ${publicUrl}/openai/v1/models

Ctrl-C stops it.
`;
}
