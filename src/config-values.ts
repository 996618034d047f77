// How a setting's text becomes a value: each reader throws a ConfigError that names the setting and what it wants, and never quotes
// what it read. Pure, but for the file that a secret may lie in.
import { availableParallelism } from "node:os";
import ipaddr from "ipaddr.js";
import { readSmallFileSync } from "./bounded-file.ts";
import { ConfigError } from "./errors.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** An address block, as parsed by ipaddr.js: the address and the prefix length in bits. */
export type Cidr = readonly [ipaddr.IPv4 | ipaddr.IPv6, number];

/** PEM: the certificate with the chain above it, and its private key. */
export interface TlsFiles {
  readonly certFile: string;
  readonly keyFile: string;
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
export const MAX_TIMER_MS = 2 ** 31 - 1;
const MAX_WORKERS = 128;

/** Reads `12h`, `90s`, `250ms`, `7d`, `10m` into milliseconds; undefined when `text` is none of these. */
export function parseDuration(text: string): number | undefined {
  const match = /^(\d{1,9})(ms|s|m|h|d)$/.exec(text.trim());
  const unit = UNITS_MS[match?.[2] ?? ""];
  return match?.[1] === undefined || unit === undefined ? undefined : Number(match[1]) * unit;
}

export function address(name: string, text: string): ListenAddress {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]*)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) {
    throw new ConfigError(`${name}: give host:port, as in 127.0.0.1:8787 or [::1]:8787`);
  }
  return Object.freeze({ host: match[1] ?? (match[2] || "0.0.0.0"), port });
}

/** A setting whose value may also stand in a file, named by the setting with `_FILE` behind its name. */
export function secret(
  name: string,
  get: (name: string) => string | undefined,
): string | undefined {
  const value = get(name);
  const file = get(`${name}_FILE`);
  if (file === undefined) return value;
  if (value !== undefined) throw new ConfigError(`set ${name} or ${name}_FILE, not both`);
  let text: string;
  try {
    text = readSmallFileSync(file).toString("utf8").trim();
  } catch (error) {
    // The path is not quoted: it may be a URL that was put into the wrong variable.
    const { code = "unknown error" } = error as NodeJS.ErrnoException;
    throw new ConfigError(`${name}_FILE: can't read the file (${code})`);
  }
  if (text === "") throw new ConfigError(`${name}_FILE: the file is empty`);
  return text;
}

export function workerCount(text: string): number {
  if (text === "auto") return availableParallelism();
  const count = /^\d{1,3}$/.test(text) ? Number(text) : 0;
  if (count < 1 || count > MAX_WORKERS) {
    throw new ConfigError(`X3SPROXY_WORKERS: give a number from 1 to ${MAX_WORKERS}, or auto`);
  }
  return count;
}

export function isRedisUrl(text: string): boolean {
  const url = URL.parse(text);
  if (url === null || !/^rediss?:$/.test(url.protocol) || url.hostname === "") return false;
  try {
    decodeURIComponent(url.username + url.password);
  } catch {
    return false;
  }
  return /^(\/\d*)?$/.test(url.pathname) && url.search === "" && url.hash === "";
}

export function checkpointUrl(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const url = URL.parse(text);
  const isHere = /^(localhost|127(\.\d+){3}|\[::1\])$/.test(url?.hostname ?? "");
  if (url?.protocol !== "https:" && !(url?.protocol === "http:" && isHere)) {
    throw new ConfigError(
      "X3SPROXY_CHECKPOINT_URL: give an https URL; plain http only reaches this machine",
    );
  }
  try {
    decodeURIComponent(url.username + url.password);
  } catch {
    throw new ConfigError("X3SPROXY_CHECKPOINT_URL: write a % in the user or password as %25");
  }
  return url.href;
}

const SYSLOG_PORTS = { udp: 514, tcp: 514, tls: 6514 } as const;

export function syslogAddress(text: string | undefined): SyslogAddress | undefined {
  if (text === undefined) return undefined;
  const [, name, bracketed, plain, digits] =
    /^(udp|tcp|tls):\/\/(?:\[([0-9a-fA-F:.]+)\]|([^:[\]/\s]+))(?::(\d{1,5}))?\/?$/.exec(text) ?? [];
  const protocol = name as SyslogAddress["protocol"] | undefined;
  const host = bracketed ?? plain;
  const port = Number(digits ?? (protocol && SYSLOG_PORTS[protocol]));
  if (protocol === undefined || host === undefined || port < 1 || port > 65_535) {
    throw new ConfigError(
      "X3SPROXY_CHECKPOINT_SYSLOG: give udp://host:514, tcp://host:514 or tls://host:6514",
    );
  }
  return Object.freeze({ protocol, host, port });
}

export function tlsFiles(
  certFile: string | undefined,
  keyFile: string | undefined,
): TlsFiles | undefined {
  if (certFile === undefined && keyFile === undefined) return undefined;
  if (certFile === undefined || keyFile === undefined) {
    throw new ConfigError("set both X3SPROXY_TLS_CERT_FILE and X3SPROXY_TLS_KEY_FILE, or neither");
  }
  return Object.freeze({ certFile, keyFile });
}

export function reachable({ host, port }: ListenAddress, tls: TlsFiles | undefined): string {
  const name = host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host;
  return `${tls === undefined ? "http" : "https"}://${name.includes(":") ? `[${name}]` : name}:${port}`;
}

export function baseUrl(name: string, text: string): string {
  const url = URL.parse(text);
  if (
    url === null ||
    !/^https?:$/.test(url.protocol) ||
    url.search !== "" ||
    url.hash !== "" ||
    url.username !== ""
  ) {
    throw new ConfigError(`${name}: give an http or https URL, as in https://x3sproxy.example.com`);
  }
  return url.href.replace(/\/+$/, "");
}

/** The dashboard's own links and its cookie are those of a whole host. */
export function dashboardUrl(text: string): string {
  const url = baseUrl("X3SPROXY_DASHBOARD_URL", text);
  const { origin, pathname } = new URL(url);
  if (pathname === "/") return url;
  throw new ConfigError(
    `X3SPROXY_DASHBOARD_URL: leave out the path; write ${origin}, and give the dashboard a host name or a port of its own`,
  );
}

export function originOverrides(env: Environment): ReadonlyMap<string, string> {
  const overrides = new Map<string, string>();
  for (const [name, value] of Object.entries(env)) {
    const provider = /^X3SPROXY_ORIGIN_([A-Z0-9_]+)$/
      .exec(name)?.[1]
      ?.toLowerCase()
      .replaceAll("_", "-");
    if (provider === undefined || value === undefined || value.trim() === "") continue;
    const origin = parseOrigin(value.trim());
    if (origin === undefined) {
      throw new ConfigError(
        `${name}: give an origin (scheme, host and port, no path), as in https://llm.example.com`,
      );
    }
    overrides.set(provider, origin);
  }
  return overrides;
}

/** Normalises `https://Host:443` to `https://host` (RFC 6454); undefined for anything that is not a bare http(s) origin. */
export function parseOrigin(text: string): string | undefined {
  const url = URL.parse(text);
  if (url === null || !/^https?:\/\/[^/?#\\@]+\/?$/i.test(text)) return undefined;
  return url.origin;
}

/** Origins as browsers write them: those of web pages, and of apps with a scheme of their own (capacitor://localhost). */
export function corsOrigins(text: string | undefined): ReadonlySet<string> {
  const origins = new Set<string>();
  for (const part of text?.split(",") ?? []) {
    const origin = part.trim();
    if (origin === "") continue;
    const isOfApp = /^(?!https?:)[a-z][a-z\d+.-]*:\/\/[a-z\d.-]+$/.test(origin);
    if (origin.includes("*") || (!isOfApp && parseOrigin(origin) !== origin)) {
      throw new ConfigError(
        "X3SPROXY_CORS_ORIGINS: give origins as browsers write them, as in https://app.example.com,http://localhost:3000: " +
          "lower-case, without a path, without :443 or :80, and never *",
      );
    }
    origins.add(origin);
  }
  return origins;
}

export function cidrs(name: string, text: string | undefined): readonly Cidr[] {
  if (text === undefined) return [];
  return text
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "")
    .map((part) => {
      try {
        if (part.includes("/")) return ipaddr.parseCIDR(part);
        const single = ipaddr.parse(part);
        return [single, single.kind() === "ipv4" ? 32 : 128] as const;
      } catch {
        throw new ConfigError(`${name}: give address blocks, as in 10.0.0.0/8,127.0.0.1,fd00::/8`);
      }
    });
}
