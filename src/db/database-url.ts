// Parses DATABASE_URL as libpq does (PostgreSQL manual, 32.1.1.2 and 32.1.2). The `postgres` package supports fewer parameters, and passes
// unknown ones to the server. Refuses unsupported parameters by name. Must never quote a value of the URL.
import { isIP } from "node:net";
import { parseAddress } from "../platform/addresses.ts";
import { ConfigError } from "../platform/errors.ts";
import { checkTls, tlsTo, type TlsSettings } from "./database-tls.ts";

export interface DatabaseServer {
  /** The name in the certificate: a host name, or an address without brackets. For a Unix socket, its folder. */
  readonly host: string;
  /** Where to connect, if not to `host` (hostaddr). */
  readonly address?: string;
  readonly port: number;
}

export interface DatabaseUrl {
  /** Empty: the package uses `PGHOST` or localhost. */
  readonly servers: readonly DatabaseServer[];
  readonly user: string | undefined;
  readonly password: string | undefined;
  readonly database: string | undefined;
  /** The deadline for connecting, and again for the server's first answer. */
  readonly connectTimeoutMs: number;
  /** The TCP keep-alive delay in seconds; 0: none. */
  readonly keepAliveS: number;
  /** Startup parameters for the server: application_name and options. */
  readonly startup: Readonly<Record<string, string>>;
  /** The TLS settings for `server`; undefined: no TLS. */
  readonly tlsTo: (server: DatabaseServer) => TlsSettings | undefined;
}

export const DEFAULT_PORT = 5432;
const DEFAULT_CONNECT_MS = 3000;
// An upper bound on the URL's timeout, so that the other hosts are tried soon.
const MAX_CONNECT_MS = 10_000;
const KEEP_ALIVE_S = 60;

type Check = (value: string) => string | undefined;
const anything: Check = () => undefined;
const oneOf =
  (...values: string[]): Check =>
  (value) =>
    values.includes(value) ? undefined : `give ${values.join(" or ")}`;
const number: Check = (value) => (/^\s*-?\d+\s*$/.test(value) ? undefined : "give a whole number");
const onlyAsIs =
  (why: string, ...values: string[]): Check =>
  (value) =>
    values.includes(value) ? undefined : why;

/** The supported parameters of libpq, and what their values must be. */
const PARAMETERS: Readonly<Record<string, Check>> = {
  host: anything,
  hostaddr: anything,
  port: anything,
  dbname: anything,
  user: anything,
  password: anything,
  application_name: anything,
  fallback_application_name: anything,
  options: anything,
  connect_timeout: number,
  client_encoding: (value) =>
    /^(auto|utf-?8|unicode)$/i.test(value) ? undefined : "the service speaks UTF8 alone",
  keepalives: oneOf("0", "1"),
  keepalives_idle: number,
  // These three are accepted and ignored: our deadlines are shorter.
  keepalives_interval: number,
  keepalives_count: number,
  tcp_user_timeout: number,
  target_session_attrs: onlyAsIs(
    "the service works on a primary alone. Leave it out, or give read-write",
    "read-write",
    "primary",
  ),
  load_balance_hosts: onlyAsIs("the hosts are tried in their order", "disable"),
  gssencmode: onlyAsIs("GSSAPI is not supported. Leave it out", "disable", "prefer"),
  channel_binding: oneOf("disable", "prefer", "require"),
  sslmode: oneOf("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
  sslnegotiation: onlyAsIs(
    "TLS begins as Postgres asks for it. Leave it out, or give postgres",
    "postgres",
  ),
  sslcompression: onlyAsIs("TLS is not compressed. Leave it out, or give 0", "0"),
  sslrootcert: anything,
  sslcert: anything,
  sslkey: anything,
  sslpassword: anything,
  sslcrl: anything,
  sslcertmode: oneOf("disable", "allow"),
  sslsni: oneOf("0", "1"),
  ssl_min_protocol_version: oneOf("TLSv1.2", "TLSv1.3"),
  ssl_max_protocol_version: oneOf("TLSv1.2", "TLSv1.3"),
};

/** Throws ConfigError with the name of the parameter or part that can't be used. `tlsTo` of the result reads the files that the URL names. */
export function readDatabaseUrl(url: string): DatabaseUrl {
  const { authority, path, query } = partsOf(url);
  const given = readQuery(query);
  const { credentials, hosts: named } = authority;
  const { hosts, ports } = readHosts(named);
  const [user, password] = splitOnce(credentials ?? "", ":");
  const part = (name: string, text: string | undefined): string | undefined =>
    given.get(name) ?? (text === undefined || text === "" ? undefined : decode(text, name));
  const servers = serversOf(
    list(given.get("host")) ?? hosts.map((host) => decode(host, "host")),
    list(given.get("hostaddr")),
    list(given.get("port")) ?? ports,
  );
  checkTls(given);
  const timeoutS = Number(given.get("connect_timeout") ?? 0);
  const options = given.get("options");
  return {
    servers,
    user: part("user", user),
    password: part("password", password),
    database: part("dbname", path),
    connectTimeoutMs: timeoutS > 0 ? Math.min(timeoutS * 1000, MAX_CONNECT_MS) : DEFAULT_CONNECT_MS,
    keepAliveS:
      given.get("keepalives") === "0"
        ? 0
        : Math.max(0, Number(given.get("keepalives_idle") ?? 0)) || KEEP_ALIVE_S,
    startup: {
      application_name: given.get("application_name") ?? "x3sproxy",
      ...(options !== undefined && { options }),
    },
    tlsTo: (server) => (isSocket(server.host) ? undefined : tlsTo(given, isLocal(server))),
  };
}

/** The URL's servers for a message, as in ` db1:5432 or db2:5432`; empty when it names none. */
export function namedServers(url: string): string {
  const names = readDatabaseUrl(url).servers.map(({ host, port }) =>
    isSocket(host) ? `${host} (port ${port})` : `${isIP(host) === 6 ? `[${host}]` : host}:${port}`,
  );
  return names.length === 0 ? "" : ` ${names.join(" or ")}`;
}

/** Whether a server is on this machine: a Unix socket, or a loopback address. */
export function isLocal({ host, address = host }: DatabaseServer): boolean {
  return (
    isSocket(host) ||
    address.toLowerCase() === "localhost" ||
    parseAddress(address)?.range() === "loopback"
  );
}

/** Whether a host is a Unix socket: its folder, or an abstract name of Linux. */
export function isSocket(host: string): boolean {
  return host.startsWith("/") || host.startsWith("@");
}

/** The URL with another user and password. */
export function withUser(url: string, user: string, password: string): string {
  const { scheme, authority, path, query } = partsOf(url);
  const rest = query
    .split("&")
    .filter(
      (pair) => pair !== "" && !/^(user|password)$/.test(decode(splitOnce(pair, "=")[0], "?")),
    );
  const credentials = `${encodeURIComponent(user)}:${encodeURIComponent(password)}`;
  const slash = path === undefined ? "" : `/${path}`;
  const asked = rest.length === 0 ? "" : `?${rest.join("&")}`;
  return `${scheme}${credentials}@${authority.hosts}${slash}${asked}`;
}

function partsOf(url: string) {
  const scheme = /^postgres(?:ql)?:\/\//.exec(url)?.[0];
  if (scheme === undefined) throw refused("it does not begin with postgres://");
  const text = url.slice(scheme.length);
  // In libpq the first @ before a slash ends the password, which may contain a ?. We also accept a password with an @.
  const found = /^([^/?]*)@|^([^/@]*)@/.exec(text);
  const credentials = found?.[1] ?? found?.[2];
  const [head, query = ""] = splitOnce(text.slice(found?.[0].length ?? 0), "?");
  const [hosts, path] = splitOnce(head, "/");
  // Otherwise a part of the password would be looked up as a host, or sent to one as a database's name.
  if (hosts.includes("@") || path?.includes("@") === true) {
    throw refused(
      "the password can't be told from the rest: write / as %2F, ? as %3F and @ as %40",
    );
  }
  return { scheme, authority: { credentials, hosts }, path, query };
}

function readHosts(text: string): { hosts: string[]; ports: string[] } {
  if (text === "") return { hosts: [], ports: [] };
  const read = text.split(",").map((one) => {
    const found = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::([^:]*))?$/.exec(one);
    if (found === null) throw refused("a host can't be read: an IPv6 address stands in brackets");
    const [, literal, name = "", port = ""] = found;
    if (literal !== undefined && isIP(literal) !== 6) {
      throw refused("a host can't be read: only an IPv6 address stands in brackets");
    }
    return { host: literal ?? name, port };
  });
  return { hosts: read.map(({ host }) => host), ports: read.map(({ port }) => port) };
}

function serversOf(
  hosts: readonly string[],
  addresses: readonly string[] | undefined,
  ports: readonly string[],
): DatabaseServer[] {
  const count = Math.max(hosts.length, addresses?.length ?? 0);
  if (addresses !== undefined && hosts.length > 0 && addresses.length !== hosts.length) {
    throw refused("hostaddr: give as many as there are hosts");
  }
  if (ports.length > 1 && ports.length !== Math.max(count, 1)) {
    throw refused("port: give one, or as many as there are hosts");
  }
  for (const address of addresses ?? []) {
    if (address !== "" && parseAddress(address) === undefined) {
      throw refused("hostaddr: give addresses");
    }
  }
  return Array.from({ length: count }, (_, i) => {
    const address = addresses?.[i] === "" ? undefined : addresses?.[i];
    const host = hosts[i] === "" ? undefined : hosts[i];
    const where = host ?? address ?? "localhost";
    return {
      host: where,
      port: portOf(ports.length === 1 ? ports[0] : ports[i]),
      ...(address !== undefined && address !== where && { address }),
    };
  });
}

function portOf(text: string | undefined): number {
  if (text === undefined || text === "") return DEFAULT_PORT;
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > 65_535) throw refused("port: give numbers of 1 to 65535");
  return port;
}

function readQuery(query: string): ReadonlyMap<string, string> {
  const given = new Map<string, string>();
  for (const pair of query.split("&")) {
    if (pair === "") continue;
    const [rawName, rawValue] = splitOnce(pair, "=");
    const name = decode(rawName, "the query");
    const shown = mayBeShown(name, rawValue, query, given) ? name : "a parameter of the query";
    if (rawValue?.includes("=") !== false) {
      throw refused(`${shown}: write it as name=value, and a = in a value as %3D`);
    }
    const value = decode(rawValue, shown);
    if (name === "ssl") {
      given.set("sslmode", legacyMode(value));
      continue;
    }
    const check = Object.hasOwn(PARAMETERS, name) ? PARAMETERS[name] : undefined;
    if (check === undefined) {
      throw refused(
        `${shown}: this parameter is not supported. A setting of the server is given as options=-c%20name%3Dvalue`,
      );
    }
    const problem = check(value);
    if (problem !== undefined) throw refused(`${name}: ${problem}`);
    given.set(name, value);
  }
  return given;
}

/** Whether a message may quote `name`. Unless it is certainly a name, it may be part of a password that contains & or ?. */
function mayBeShown(
  name: string,
  value: string | undefined,
  query: string,
  before: ReadonlyMap<string, string>,
): boolean {
  if (Object.hasOwn(PARAMETERS, name)) return true;
  const isCertain = value !== undefined && !query.includes("@");
  const isBehindPassword = before.has("password") || before.has("sslpassword");
  return isCertain && !isBehindPassword && /^[\w.]{1,60}$/.test(name);
}

/** The sslmode for the parameter `ssl` of JDBC and the `postgres` package. */
function legacyMode(value: string): string {
  const mode = { true: "require", false: "disable" }[value] ?? value;
  const problem = PARAMETERS["sslmode"]?.(mode);
  if (problem !== undefined) throw refused("ssl: give true, or use sslmode");
  return mode;
}

function list(value: string | undefined): string[] | undefined {
  return value === undefined || value === "" ? undefined : value.split(",");
}

function splitOnce(text: string, separator: string): [string, string | undefined] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + separator.length)];
}

function decode(text: string, where: string): string {
  try {
    const decoded = decodeURIComponent(text);
    if (!decoded.includes("\0")) return decoded;
  } catch {
    // Refused below.
  }
  throw refused(`${where}: write a % as %25`);
}

function refused(what: string): ConfigError {
  return new ConfigError(`DATABASE_URL: ${what}`);
}
