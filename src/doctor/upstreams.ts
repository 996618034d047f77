// Whether the providers that keys are saved for can be reached, by the way that calls take. No key goes there, and nothing of an answer
// is kept but its date.
import { once } from "node:events";
import { createConnection, isIP, type Socket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import type { Config } from "../config.ts";
import { createAddressRule, createForwardProxy } from "../proxy/index.ts";
import { codeOf, type Findings } from "./finding.ts";

const WITHIN_MS = 8000;
const CLOCK_MS = 60_000;

export async function checkUpstreams(
  config: Config,
  origins: readonly string[],
  findings: Findings,
  nowMs: () => number,
): Promise<void> {
  const dates = await Promise.all(origins.map((origin) => checkOne(config, origin, findings)));
  const date = dates.find((each) => each !== undefined);
  if (date === undefined) return;
  if (Math.abs(Date.parse(date) - nowMs()) > CLOCK_MS) {
    findings.add("Machine", "critical", "clock-outside", {
      what: "This machine's clock is more than a minute off a provider's.",
      why: "Codes of second factors are refused, and certificates can seem to have ended.",
      fix: "Let it follow a time server: timedatectl set-ntp true",
    });
  } else findings.ok("Machine", "clock-outside", "The clock is that of a provider.");
}

async function checkOne(
  config: Config,
  origin: string,
  findings: Findings,
): Promise<string | undefined> {
  const id = `provider ${origin}`;
  try {
    const date = await reach(config, new URL(origin));
    findings.ok("Network", id, `${origin} can be reached.`);
    return date;
  } catch (error) {
    findings.add("Network", "warning", id, {
      what: `${origin} can't be reached (${codeOf(error)}).`,
      why: "Calls to it fail. A code of DNS, a refusal, silence and a certificate that doesn't hold each have their own cause.",
      fix:
        config.upstreamProxy.httpsProxy === undefined
          ? "Look at DNS and the firewall, or set HTTPS_PROXY; NODE_EXTRA_CA_CERTS for an authority of your own"
          : "Look at HTTPS_PROXY and NO_PROXY, and whether the proxy lets this host through",
    });
    return undefined;
  }
}

/** The date that it says, if it says one. */
async function reach(config: Config, url: URL): Promise<string | undefined> {
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const secure = url.protocol === "https:";
  const port = Number(url.port || (secure ? 443 : 80));
  const signal = AbortSignal.timeout(WITHIN_MS);
  const raw = await dial(config, { host, port, protocol: secure ? "https:" : "http:" }, signal);
  try {
    if (!secure) return undefined;
    const name = isIP(host) === 0 ? { servername: host } : {};
    const socket: TLSSocket = connectTls({ socket: raw, host, ...name, minVersion: "TLSv1.2" });
    socket.on("error", () => undefined);
    await once(socket, "secureConnect", { signal });
    socket.write(`HEAD / HTTP/1.1\r\nhost: ${url.host}\r\nconnection: close\r\n\r\n`);
    // Reached it is by now; not everything answers this.
    const [answer] = (await once(socket, "data", { signal }).catch(() => [""])) as [
      Buffer | string,
    ];
    return /^date: (.+)$/im.exec(answer.toString())?.[1]?.trim();
  } finally {
    raw.destroy();
  }
}

async function dial(
  config: Config,
  { host, port, protocol }: { host: string; port: number; protocol: "https:" | "http:" },
  signal: AbortSignal,
): Promise<Socket> {
  const proxy = createForwardProxy(config.upstreamProxy, WITHIN_MS);
  if (proxy?.covers(host, port) === true) {
    return new Promise((resolve, reject) => {
      proxy.tunnel(host, port, (error, socket) => {
        if (socket !== undefined) resolve(socket);
        else reject(error ?? new Error("no tunnel"));
      });
    });
  }
  const rule = createAddressRule(config.allowPrivateUpstreams);
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
