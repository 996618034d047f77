// The only reader of the environment: makes one frozen Config from the settings. Must never print a value, since some are secrets.
import type { z } from "zod";
import { readSmallFileSync } from "./bounded-file.ts";
import type { Cidr } from "./addresses.ts";
import { httpUrl, type ListenAddress, type SyslogAddress } from "./config-values.ts";
import { ConfigError } from "./errors.ts";
import { settingDoubts, type Doubt } from "./setting-doubts.ts";
import { settings, type Environment, type SettingName } from "./settings.ts";

export type { ListenAddress, SyslogAddress } from "./config-values.ts";

/** PEM: the certificate with the chain above it, and its private key. */
export interface TlsFiles {
  readonly certFile: string;
  readonly keyFile: string;
}

export interface Config {
  /** Postgres connection URL, or undefined for the embedded server. */
  readonly databaseUrl: string | undefined;
  /** Redis or Valkey, in which processes share the counts of limits. Undefined: each process counts by itself. */
  readonly redisUrl: string | undefined;
  readonly dataDir: string;
  /** Where the master keys come from. Undefined only with the embedded database, whose key file is in the data folder. */
  readonly masterKey: MasterKeySource | undefined;
  readonly proxyAddress: ListenAddress;
  readonly adminAddress: ListenAddress;
  readonly metricsAddress: ListenAddress;
  /** With it the data plane and the admin side speak only TLS. */
  readonly tls: TlsFiles | undefined;
  /** How agents reach the data plane: a URL without a trailing slash. */
  readonly publicUrl: string;
  /** How browsers reach the admin side: scheme and authority, without a trailing slash. */
  readonly dashboardUrl: string;
  /** Provider name → origin that replaces the built-in one. */
  readonly originOverrides: ReadonlyMap<string, string>;
  readonly allowPrivateUpstreams: readonly Cidr[];
  readonly trustedProxies: readonly Cidr[];
  /** The origins whose pages may call the data plane from a browser. */
  readonly corsOrigins: ReadonlySet<string>;
  readonly upstreamProxy: {
    readonly httpsProxy: string | undefined;
    readonly noProxy: string | undefined;
  };
  readonly deadlines: Deadlines;
  /** How long an open call may go on after its token was replaced by a redeployment or has expired, in milliseconds. */
  readonly redeployGraceMs: number;
  /** For how long one `secret.release` event covers an agent, a secret's version and a process, in milliseconds. */
  readonly releaseEveryMs: number;
  /** Where the audit's checkpoints are sent. */
  readonly checkpoints: CheckpointSettings;
  readonly logLevel: "debug" | "info" | "warn" | "error";
  /** `stdout`, `stderr`, or the absolute path of a file. */
  readonly logFile: string;
  /** Undefined: text on a terminal, else JSON. */
  readonly logFormat: "json" | "text" | undefined;
  /** How many processes serve. 1: only this one. */
  readonly workers: number;
  /** Warnings about settings that have no effect. */
  readonly doubts: readonly Doubt[];
}

export interface CheckpointSettings {
  /** A file to which each new checkpoint is appended. */
  readonly file: string | undefined;
  /** HTTPS, or HTTP on this machine; may have a user and a password. */
  readonly url: string | undefined;
  readonly syslog: SyslogAddress | undefined;
  /** The shortest time between two, in milliseconds. */
  readonly intervalMs: number;
}

/** A file, the keys themselves, a command that prints them, or a file that AWS KMS encrypted. */
export type MasterKeySource =
  | { readonly file: string }
  | { readonly value: string }
  | { readonly command: string }
  | { readonly kmsFile: string; readonly aws: AwsSettings };

/** How AWS is reached, and where its credentials come from; read as AWS's own SDKs read it. */
export interface AwsSettings {
  readonly region: string | undefined;
  /** An endpoint in place of the region's own. */
  readonly kmsEndpoint: string | undefined;
  readonly stsEndpoint: string | undefined;
  readonly accessKeyId: string | undefined;
  readonly secretAccessKey: string | undefined;
  readonly sessionToken: string | undefined;
  readonly webIdentityTokenFile: string | undefined;
  readonly roleArn: string | undefined;
  readonly containerCredentialsUrl: string | undefined;
  readonly containerToken: string | undefined;
  readonly containerTokenFile: string | undefined;
  /** The URL of the instance's metadata service. Undefined: don't ask it. */
  readonly metadataEndpoint: string | undefined;
}

/** All in milliseconds. */
export interface Deadlines {
  /** Name resolution, TCP and TLS to the upstream. */
  readonly connectMs: number;
  /** From the request sent until the response's header section. */
  readonly firstByteMs: number;
  /** Silence of the upstream within a response body. */
  readonly upstreamIdleMs: number;
  /** A client that doesn't read although there is something to read. */
  readonly clientStallMs: number;
  /** A client that stops sending within its request body. If less than 30 s, also the limit for a whole header section. */
  readonly clientIdleMs: number;
  /** From SIGTERM until open exchanges are cut. */
  readonly drainMs: number;
  /** The first part of it, in which new connections are still accepted, so that a load balancer notices. */
  readonly drainDelayMs: number;
}

/** The settings that a CLI command needs to reach the admin API. */
export interface ClientConfig {
  /** `given`: X3SPROXY_ADMIN_URL is set. Otherwise the URL follows from the service's settings. */
  readonly adminUrl: { readonly url: string; readonly given: boolean };
  /** X3SPROXY_API_KEY. */
  readonly apiKey: string | undefined;
  /** The token that `register` trades. */
  readonly registrationToken: string | undefined;
  readonly dataDir: string;
  readonly publicUrl: string;
}

/** Reads a setting: its own value, else `fallback`, else its default. */
type Read = <Name extends SettingName>(
  name: Name,
  fallback?: string,
) => z.output<(typeof settings)[Name]>;

/** Makes a reader of single settings. It throws ConfigError that names the setting and the form that it wants. */
function reader(env: Environment): Read {
  return (name, fallback) => {
    const text = env[name]?.trim() || fallback;
    const schema: z.ZodType = settings[name];
    return parse(name, schema, text) as z.output<(typeof settings)[typeof name]>;
  };
}

function parse<T>(name: string, schema: z.ZodType<T>, text: string | undefined): T {
  const { success, data, error } = schema.safeParse(text);
  if (success) return data;
  throw new ConfigError(`${name}: ${error.issues[0]?.message ?? "can't be read"}`);
}

/** Reads the service's Config from the environment. Throws ConfigError that names the setting and the form that it wants. */
export function readConfig(env: Environment = process.env): Config {
  const read = reader(env);
  const proxyAddress = read("X3SPROXY_PROXY_ADDR");
  const adminAddress = read("X3SPROXY_ADMIN_ADDR");
  const tls = tlsFiles(read);
  const databaseUrl = secret(read, "DATABASE_URL");
  const upstreamProxy = readUpstreamProxy(env);
  return Object.freeze({
    databaseUrl,
    redisUrl: secret(read, "REDIS_URL"),
    dataDir: read("X3SPROXY_DATA_DIR"),
    masterKey: masterKeySource(env, read),
    proxyAddress,
    adminAddress,
    metricsAddress: read("X3SPROXY_METRICS_ADDR"),
    tls,
    publicUrl: read("X3SPROXY_PUBLIC_URL", reachable(proxyAddress, tls)),
    dashboardUrl: read("X3SPROXY_DASHBOARD_URL", reachable(adminAddress, tls)),
    originOverrides: originOverrides(env),
    allowPrivateUpstreams: read("X3SPROXY_ALLOW_PRIVATE_UPSTREAMS"),
    trustedProxies: read("X3SPROXY_TRUSTED_PROXIES"),
    corsOrigins: read("X3SPROXY_CORS_ORIGINS"),
    upstreamProxy,
    deadlines: Object.freeze({
      connectMs: read("X3SPROXY_CONNECT_TIMEOUT"),
      firstByteMs: read("X3SPROXY_FIRST_BYTE_TIMEOUT"),
      upstreamIdleMs: read("X3SPROXY_UPSTREAM_IDLE_TIMEOUT"),
      clientStallMs: read("X3SPROXY_CLIENT_STALL_TIMEOUT"),
      clientIdleMs: read("X3SPROXY_CLIENT_IDLE_TIMEOUT"),
      drainMs: read("X3SPROXY_DRAIN_TIMEOUT"),
      // With the embedded database there is no other service to take over.
      drainDelayMs: read("X3SPROXY_DRAIN_DELAY", databaseUrl === undefined ? "0s" : "5s"),
    }),
    redeployGraceMs: read("X3SPROXY_REDEPLOY_GRACE"),
    releaseEveryMs: read("X3SPROXY_RELEASE_EVERY"),
    checkpoints: Object.freeze({
      file: read("X3SPROXY_CHECKPOINT_FILE"),
      url: read("X3SPROXY_CHECKPOINT_URL"),
      syslog: read("X3SPROXY_CHECKPOINT_SYSLOG"),
      intervalMs: read("X3SPROXY_CHECKPOINT_INTERVAL"),
    }),
    logLevel: read("X3SPROXY_LOG_LEVEL"),
    logFile: read("X3SPROXY_LOG_FILE"),
    logFormat: read("X3SPROXY_LOG_FORMAT"),
    workers: read("X3SPROXY_WORKERS"),
    doubts: settingDoubts(
      env,
      upstreamProxy.httpsProxy === undefined ? undefined : upstreamProxy.noProxy,
    ),
  });
}

/** The operator's forward proxy, from the variables that other programs read, too. */
export function readUpstreamProxy(env: Environment = process.env): Config["upstreamProxy"] {
  const read = reader(env);
  const inSmall = reader({ HTTPS_PROXY: env["https_proxy"], NO_PROXY: env["no_proxy"] });
  return Object.freeze({
    httpsProxy: inSmall("HTTPS_PROXY") ?? read("HTTPS_PROXY"),
    noProxy: inSmall("NO_PROXY") ?? read("NO_PROXY"),
  });
}

/** The whole environment, for a child process. */
export function environment(): NodeJS.ProcessEnv {
  return process.env;
}

/** The environment without the service's own secrets: for a command that prints master keys. */
export function commandEnvironment(env: Environment = process.env): NodeJS.ProcessEnv {
  const stores = new Set(["DATABASE_URL", "REDIS_URL", "PGPASSWORD"]);
  return Object.fromEntries(
    Object.entries(env).filter(([name]) => !name.startsWith("X3SPROXY_") && !stores.has(name)),
  );
}

/** Reads AWS's settings from the environment. Throws ConfigError that names the setting and the form that it wants. */
export function readAwsSettings(env: Environment = process.env): AwsSettings {
  const read = reader(env);
  const relative = read("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
  const metadataOff = read("AWS_EC2_METADATA_DISABLED")?.toLowerCase() === "true";
  return Object.freeze({
    region: read("AWS_REGION") ?? read("AWS_DEFAULT_REGION"),
    kmsEndpoint: read("AWS_ENDPOINT_URL_KMS") ?? read("AWS_ENDPOINT_URL"),
    stsEndpoint: read("AWS_ENDPOINT_URL_STS") ?? read("AWS_ENDPOINT_URL"),
    accessKeyId: read("AWS_ACCESS_KEY_ID"),
    secretAccessKey: read("AWS_SECRET_ACCESS_KEY"),
    sessionToken: read("AWS_SESSION_TOKEN"),
    webIdentityTokenFile: read("AWS_WEB_IDENTITY_TOKEN_FILE"),
    roleArn: read("AWS_ROLE_ARN"),
    containerCredentialsUrl:
      relative === undefined
        ? read("AWS_CONTAINER_CREDENTIALS_FULL_URI")
        : `http://169.254.170.2${relative}`,
    containerToken: read("AWS_CONTAINER_AUTHORIZATION_TOKEN"),
    containerTokenFile: read("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"),
    metadataEndpoint: metadataOff ? undefined : read("AWS_EC2_METADATA_SERVICE_ENDPOINT"),
  });
}

function masterKeySource(env: Environment, read: Read): MasterKeySource | undefined {
  const file = read("X3SPROXY_MASTER_KEY_FILE");
  const value = read("X3SPROXY_MASTER_KEY");
  const command = read("X3SPROXY_MASTER_KEY_COMMAND");
  const kmsFile = read("X3SPROXY_MASTER_KEY_KMS");
  const given = Object.entries({
    X3SPROXY_MASTER_KEY_FILE: file,
    X3SPROXY_MASTER_KEY: value,
    X3SPROXY_MASTER_KEY_COMMAND: command,
    X3SPROXY_MASTER_KEY_KMS: kmsFile,
  }).filter(([, text]) => text !== undefined);
  if (given.length > 1) {
    const names = given.map(([name]) => name).join(" and ");
    throw new ConfigError(`set one of ${names}, not ${given.length > 2 ? "all" : "both"}`);
  }
  if (file !== undefined) return { file };
  if (value !== undefined) return { value };
  if (command !== undefined) return { command };
  return kmsFile === undefined ? undefined : { kmsFile, aws: readAwsSettings(env) };
}

/** Reads a setting whose value may also be in a file, which the setting `<name>_FILE` names. */
function secret(read: Read, name: "DATABASE_URL" | "REDIS_URL"): string | undefined {
  const file = read(`${name}_FILE`);
  if (file === undefined) return read(name);
  if (read(name) !== undefined) throw new ConfigError(`set ${name} or ${name}_FILE, not both`);
  let text: string;
  try {
    text = readSmallFileSync(file).toString("utf8").trim();
  } catch (error) {
    // Don't quote the path: it may be a URL with a password, put into the wrong variable.
    const { code = "unknown error" } = error as NodeJS.ErrnoException;
    throw new ConfigError(`${name}_FILE: can't read the file (${code})`);
  }
  if (text === "") throw new ConfigError(`${name}_FILE: the file is empty`);
  return read(name, text);
}

function tlsFiles(read: Read): TlsFiles | undefined {
  const certFile = read("X3SPROXY_TLS_CERT_FILE");
  const keyFile = read("X3SPROXY_TLS_KEY_FILE");
  if (certFile === undefined && keyFile === undefined) return undefined;
  if (certFile === undefined || keyFile === undefined) {
    throw new ConfigError("set both X3SPROXY_TLS_CERT_FILE and X3SPROXY_TLS_KEY_FILE, or neither");
  }
  return Object.freeze({ certFile, keyFile });
}

function reachable({ host, port }: ListenAddress, tls: TlsFiles | undefined): string {
  const name = host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host;
  return `${tls === undefined ? "http" : "https"}://${name.includes(":") ? `[${name}]` : name}:${port}`;
}

function originOverrides(env: Environment): ReadonlyMap<string, string> {
  const overrides = new Map<string, string>();
  for (const [name, value] of Object.entries(env)) {
    const provider = /^X3SPROXY_ORIGIN_([A-Z0-9_]+)$/.exec(name)?.[1];
    if (provider === undefined) continue;
    const text = value?.trim() || undefined;
    const origin = parse(name, settings["X3SPROXY_ORIGIN_<PROVIDER>"], text);
    if (origin !== undefined) overrides.set(provider.toLowerCase().replaceAll("_", "-"), origin);
  }
  return overrides;
}

/** Reads the CLI's settings: where the admin API is, and the API key. */
export function readClientConfig(
  { publicUrl }: { publicUrl?: string } = {},
  env: Environment = process.env,
): ClientConfig {
  const read = reader(env);
  const adminAddress = read("X3SPROXY_ADMIN_ADDR");
  const proxyAddress = read("X3SPROXY_PROXY_ADDR");
  const tls = tlsFiles(read);
  // A certificate names a host rather than the listening address.
  const dashboardUrl = (tls && env["X3SPROXY_DASHBOARD_URL"]?.trim()) || undefined;
  return {
    dataDir: read("X3SPROXY_DATA_DIR"),
    adminUrl: {
      url: read("X3SPROXY_ADMIN_URL", dashboardUrl ?? reachable(adminAddress, tls)),
      given: (env["X3SPROXY_ADMIN_URL"] ?? "").trim() !== "",
    },
    apiKey: read("X3SPROXY_API_KEY"),
    registrationToken: read("X3SPROXY_REGISTRATION_TOKEN"),
    publicUrl:
      publicUrl === undefined
        ? read("X3SPROXY_PUBLIC_URL", reachable(proxyAddress, tls))
        : parse("--url", httpUrl, publicUrl),
  };
}
