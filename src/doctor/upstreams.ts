// Checks that the providers with saved keys can be reached, on the same way as calls. Sends no key, and keeps only the date of an answer.
import { once } from "node:events";
import { createConnection, isIP, type Socket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import type { Config } from "../platform/config.ts";
import {
  AddressRefusedError,
  createAddressRule,
  createForwardProxy,
  type ForwardProxy,
} from "../proxy/index.ts";
import { failureOf, saidBy, type Findings } from "./finding.ts";

const WITHIN_MS = 8000;
const CLOCK_MS = 60_000;
const CLOCK = "clock-outside";

/** A provider, and how it is reached. */
interface Target {
  readonly url: URL;
  /** Without brackets. */
  readonly host: string;
  readonly port: number;
  readonly protocol: "https:" | "http:";
  /** The forward proxy, if one is used. */
  readonly proxy: ForwardProxy | undefined;
}

/** The forward proxy of HTTPS_PROXY, if set. False if the setting can't be used. */
export function checkForwardProxy(
  { upstreamProxy }: Config,
  findings: Findings,
): ForwardProxy | undefined | false {
  try {
    const proxy = createForwardProxy(upstreamProxy, WITHIN_MS);
    if (proxy !== undefined) findings.ok("Network", "forward-proxy", "HTTPS_PROXY can be read.");
    return proxy;
  } catch (error) {
    findings.add("Network", "critical", "forward-proxy", {
      what: saidBy(error) ?? `HTTPS_PROXY can't be used (${failureOf(error)}).`,
      why: "The service does not start with it.",
      fix: "HTTPS_PROXY=http://proxy.example:3128, or leave it out",
    });
    return false;
  }
}

export async function checkUpstreams(
  config: Config,
  { origins, proxy }: { origins: readonly string[]; proxy: ForwardProxy | undefined },
  findings: Findings,
  nowMs: () => number,
): Promise<void> {
  if (origins.length === 0) {
    findings.skip("providers", "no key of one is saved yet");
    return;
  }
  const offs = await Promise.all(
    origins.map(async (origin) => {
      const date = await checkOne(config, targetOf(origin, proxy), findings);
      return Math.abs(Date.parse(date ?? "") - nowMs());
    }),
  );
  const least = Math.min(...offs.filter((each) => !Number.isNaN(each)));
  if (least === Infinity) findings.skip(CLOCK, "no provider told the time");
  else if (least > CLOCK_MS) {
    findings.add("Machine", "critical", CLOCK, {
      what: `This machine's clock is ${Math.round(least / 1000)} s off that of each provider that told the time.`,
      why: "Codes of second factors are refused, and certificates can seem to have ended.",
      fix: "Let it follow a time server: timedatectl set-ntp true",
    });
  } else findings.ok("Machine", CLOCK, "The clock is that of a provider.");
}

function targetOf(origin: string, proxy: ForwardProxy | undefined): Target {
  const url = new URL(origin);
  const protocol = url.protocol === "http:" ? "http:" : "https:";
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const port = Number(url.port || (protocol === "https:" ? 443 : 80));
  const isThrough = protocol === "https:" && proxy?.covers(host, port) === true;
  return { url, host, port, protocol, proxy: isThrough ? proxy : undefined };
}

async function checkOne(
  config: Config,
  target: Target,
  findings: Findings,
): Promise<string | undefined> {
  const { origin } = target.url;
  const way = target.proxy === undefined ? "" : " through HTTPS_PROXY";
  try {
    const date = await reach(config, target);
    findings.ok("Network", `provider ${origin}`, `${origin} can be reached${way}.`);
    return date;
  } catch (error) {
    const code = failureOf(error);
    findings.add("Network", "warning", `provider ${origin}`, {
      what: `${origin} can't be reached${way} (${code}).`,
      why: "Calls to it fail.",
      fix: fixOf(code, target),
    });
    return undefined;
  }
}

function fixOf(code: string, { host, proxy }: Target): string {
  if (code === "X3SPROXY_ADDRESS_REFUSED") {
    return "Its address is a private one, or plain http: if that is meant, list it in X3SPROXY_ALLOW_PRIVATE_UPSTREAMS";
  }
  if (/CERT|SELF_SIGNED|LEAF_SIGNATURE/.test(code)) {
    return "Its certificate doesn't hold: NODE_EXTRA_CA_CERTS=<file> for an authority of your own; else nobody should call it";
  }
  if (proxy !== undefined) {
    return `Look at HTTPS_PROXY, and whether that proxy lets ${host} through; NO_PROXY=${host} goes past it`;
  }
  if (/^(ENOTFOUND|EAI_)/.test(code)) return `Look at DNS: ${host} has no address from here`;
  return `Look at the firewall between here and ${host}; where a proxy leads out, HTTPS_PROXY=http://…`;
}

/** The answer's Date, if it has one. */
async function reach(config: Config, target: Target): Promise<string | undefined> {
  const { url, host, protocol } = target;
  const signal = AbortSignal.timeout(WITHIN_MS);
  const raw = await dial(config, target, signal);
  raw.on("error", () => undefined);
  try {
    if (protocol === "http:") return undefined;
    const name = isIP(host) === 0 ? { servername: host } : {};
    const socket: TLSSocket = connectTls({ socket: raw, host, ...name, minVersion: "TLSv1.2" });
    socket.on("error", () => undefined);
    await once(socket, "secureConnect", { signal });
    socket.write(`HEAD / HTTP/1.1\r\nhost: ${url.host}\r\nconnection: close\r\n\r\n`);
    // It has been reached. Not every provider answers this request.
    const ended = once(socket, "close").then(() => [""]);
    const data = once(socket, "data", { signal });
    const [answer] = (await Promise.race([data, ended]).catch(() => [""])) as [Buffer | string];
    return /^date: (.+)$/im.exec(answer.toString())?.[1]?.trim();
  } finally {
    raw.destroy();
  }
}

async function dial(
  config: Config,
  { host, port, protocol, proxy }: Target,
  signal: AbortSignal,
): Promise<Socket> {
  const rule = createAddressRule(config.allowPrivateUpstreams);
  // A literal address needs no look-up.
  if (isIP(host) !== 0 && !rule.allows(host, protocol)) throw new AddressRefusedError();
  if (proxy !== undefined) {
    return new Promise((resolve, reject) => {
      proxy.tunnel(host, port, (error, socket) => {
        if (socket !== undefined) resolve(socket);
        else reject(error ?? new Error("no tunnel"));
      });
    });
  }
  const socket = createConnection({ host, port, lookup: rule.lookup(protocol) });
  socket.on("error", () => undefined);
  try {
    await once(socket, "connect", { signal });
    return socket;
  } catch (error) {
    socket.destroy();
    throw error;
  }
}
