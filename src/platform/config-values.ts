// The types of settings: zod schemas that turn a text into a value, or say which form is wanted. A message never quotes the text.
import type { Cidr } from "./addresses.ts";
import { availableParallelism } from "node:os";
import { resolve } from "node:path";
import ipaddr from "ipaddr.js";
import { z } from "zod";

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

export interface SyslogAddress extends ListenAddress {
  readonly protocol: "udp" | "tcp" | "tls";
}

const UNITS_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};
const MAX_TIMER_MS = 2 ** 31 - 1;
const MAX_WORKERS = 128;
const SYSLOG_PORTS = { udp: 514, tcp: 514, tls: 6514 } as const;

/** `read` turns the text into a value. If it returns undefined, the error says that `wants` is wanted. */
function form<T>(wants: string, read: (text: string) => T | undefined) {
  const schema = z.string().transform((text, context): T => {
    const value = read(text);
    if (value !== undefined) return value;
    context.addIssue({ code: "custom", message: `give ${wants}` });
    return z.NEVER;
  });
  return schema.meta({ wants });
}

/** A text that is taken as it is. */
export function plain(wants: string) {
  return z.string().meta({ wants });
}

/** Milliseconds from `12h`, `90s`, `250ms`, `7d`, `10m`. Undefined if `text` is not of this form. */
export function parseDuration(text: string): number | undefined {
  const match = /^(\d{1,9})(ms|s|m|h|d)$/.exec(text.trim());
  const unit = UNITS_MS[match?.[2] ?? ""];
  return match?.[1] === undefined || unit === undefined ? undefined : Number(match[1]) * unit;
}

/** In milliseconds. */
export function durationFrom(least: string) {
  return form(`a duration between ${least} and 24d, as in 90s, 10m or 2h`, (text) => {
    const ms = parseDuration(text);
    const isWithin = ms !== undefined && ms >= (parseDuration(least) ?? 0) && ms <= MAX_TIMER_MS;
    return isWithin ? ms : undefined;
  });
}

export const listenAddress = form(
  "host:port, as in 127.0.0.1:8787 or [::1]:8787",
  (text): ListenAddress | undefined => {
    const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]*)):(\d{1,5})$/.exec(text);
    const port = Number(match?.[3]);
    if (match === null || port > 65_535) return undefined;
    return Object.freeze({ host: match[1] ?? (match[2] || "0.0.0.0"), port });
  },
);

export const postgresUrl = form("a URL that begins with postgres://", (text) =>
  /^postgres(ql)?:\/\//.test(text) ? text : undefined,
);

export const redisUrl = form(
  "a URL as in redis://host:6379 or rediss://user:password@host:6379/0",
  (text) => {
    const url = URL.parse(text);
    const isRedis = url !== null && /^rediss?:$/.test(url.protocol) && url.hostname !== "";
    if (!isRedis || !isDecodable(url)) return undefined;
    const isBare = /^(\/\d*)?$/.test(url.pathname) && url.search === "" && url.hash === "";
    return isBare ? text : undefined;
  },
);

export const workerCount = form(`a number from 1 to ${MAX_WORKERS}, or auto`, (text) => {
  if (text === "auto") return availableParallelism();
  const count = /^\d{1,3}$/.test(text) ? Number(text) : 0;
  return count < 1 || count > MAX_WORKERS ? undefined : count;
});

/** https, or http on this machine; may have a user and a password. */
export const checkpointUrl = form(
  "an https URL; plain http only reaches this machine",
  (text): string | undefined => {
    const url = URL.parse(text);
    const isHere = /^(localhost|127(\.\d+){3}|\[::1\])$/.test(url?.hostname ?? "");
    const isSafe = url?.protocol === "https:" || (url?.protocol === "http:" && isHere);
    return isSafe ? url.href : undefined;
  },
).refine((url) => isDecodable(new URL(url)), {
  error: "write a % in the user or password as %25",
});

export const syslogAddress = form(
  "udp://host:514, tcp://host:514 or tls://host:6514",
  (text): SyslogAddress | undefined => {
    const [, name, bracketed, bare, digits] =
      /^(udp|tcp|tls):\/\/(?:\[([0-9a-fA-F:.]+)\]|([^:[\]/\s]+))(?::(\d{1,5}))?\/?$/.exec(text) ??
      [];
    const protocol = name as SyslogAddress["protocol"] | undefined;
    const host = bracketed ?? bare;
    const port = Number(digits ?? (protocol && SYSLOG_PORTS[protocol]));
    if (protocol === undefined || host === undefined || port < 1 || port > 65_535) return undefined;
    return Object.freeze({ protocol, host, port });
  },
);

const encodeInUrl = (character: string): string =>
  `%${character.charCodeAt(0).toString(16).toUpperCase()}`;

/** The URL without a trailing slash. */
export const httpUrl = form(
  "an http or https URL without a user or password, as in https://x3sproxy.example.com",
  (text): string | undefined => {
    const url = URL.parse(text);
    const isHttp = url !== null && /^https?:$/.test(url.protocol);
    if (!isHttp || url.search !== "" || url.hash !== "") return undefined;
    // The URL is shown to everybody.
    if (url.username !== "" || url.password !== "") return undefined;
    // People paste it into a shell, between single quotation marks.
    return url.href.replace(/\/+$/, "").replace(/['$]/g, encodeInUrl);
  },
);

/** Without a path: the dashboard's links and its cookie belong to the whole host. */
export const dashboardUrl = httpUrl.refine((url) => new URL(url).pathname === "/", {
  error: ({ input }) =>
    `leave out the path; write ${new URL(String(input)).origin}, and give the dashboard a host name or a port of its own`,
});

export const origin = form(
  "an origin (scheme, host and port, no path), as in https://llm.example.com",
  parseOrigin,
);

/** Normalises `https://Host:443` to `https://host` (RFC 6454). Undefined if `text` is not an HTTP(S) origin alone. */
export function parseOrigin(text: string): string | undefined {
  const url = URL.parse(text);
  if (url === null || !/^https?:\/\/[^/?#\\@]+\/?$/i.test(text)) return undefined;
  return url.origin;
}

/** Origins as browsers write them: of web pages, and of apps with their own scheme (capacitor://localhost). */
export const corsOrigins = form(
  "origins as browsers write them, as in https://app.example.com,http://localhost:3000: " +
    "lower-case, without a path, without :443 or :80, and never *",
  (text): ReadonlySet<string> | undefined => {
    const origins = listed(text);
    const isRight = (it: string): boolean => {
      const isOfApp = /^(?!https?:)[a-z][a-z\d+.-]*:\/\/[a-z\d.-]+$/.test(it);
      return !it.includes("*") && (isOfApp || parseOrigin(it) === it);
    };
    return origins.every(isRight) ? new Set(origins) : undefined;
  },
);

export const addressBlocks = form(
  "address blocks, as in 10.0.0.0/8,127.0.0.1,fd00::/8",
  (text): readonly Cidr[] | undefined => {
    try {
      return listed(text).map((part) => {
        if (part.includes("/")) return ipaddr.parseCIDR(part);
        const single = ipaddr.parse(part);
        return [single, single.kind() === "ipv4" ? 32 : 128] as const;
      });
    } catch {
      return undefined;
    }
  },
);

/** An absolute path. */
export const path = form("a path", (text) => resolve(text));

/** `stdout`, `stderr`, or the absolute path of a file. */
export const logTarget = form("stdout, stderr, or the path of a file", (text) =>
  text === "stdout" || text === "stderr" ? text : resolve(text),
);

/** The parts of a comma-separated list. */
function listed(text: string): string[] {
  const parts = text.split(",").map((part) => part.trim());
  return parts.filter((part) => part !== "");
}

function isDecodable({ username, password }: URL): boolean {
  try {
    decodeURIComponent(username + password);
    return true;
  } catch {
    return false;
  }
}
