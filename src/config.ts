// The only reader of the environment: settings in, one frozen Config out. It never prints a value that it read,
// since some are secrets.
import { resolve } from "node:path";
import {
  address,
  baseUrl,
  checkpointUrl,
  cidrs,
  corsOrigins,
  isRedisUrl,
  MAX_TIMER_MS,
  originOverrides,
  parseDuration,
  reachable,
  secret,
  syslogAddress,
  tlsFiles,
  workerCount,
  type Cidr,
  type Environment,
  type ListenAddress,
  type SyslogAddress,
  type TlsFiles,
} from "./config-values.ts";
import { readSmallFileSync } from "./bounded-file.ts";
import { ConfigError } from "./errors.ts";

export type { Cidr, ListenAddress, SyslogAddress, TlsFiles } from "./config-values.ts";

export interface Config {
  /** Postgres connection URL, or undefined for the embedded server. */
  readonly databaseUrl: string | undefined;
  /** Redis or Valkey, by which processes share what their agents use of their limits; undefined: each counts for itself. */
  readonly redisUrl: string | undefined;
  readonly dataDir: string;
  /** Where the master keys come from; undefined only with the embedded default, which keeps its own file. */
  readonly masterKey: MasterKeySource | undefined;
  readonly proxyAddress: ListenAddress;
  readonly adminAddress: ListenAddress;
  readonly metricsAddress: ListenAddress;
  /** With it the data plane and the admin side speak TLS, and nothing else. */
  readonly tls: TlsFiles | undefined;
  /** As agents reach the data plane: scheme and authority, no trailing slash. */
  readonly publicUrl: string;
  /** As browsers reach the admin side: scheme and authority, no trailing slash. */
  readonly dashboardUrl: string;
  /** Provider name → origin that replaces the built-in one. */
  readonly originOverrides: ReadonlyMap<string, string>;
  readonly allowPrivateUpstreams: readonly Cidr[];
  readonly trustedProxies: readonly Cidr[];
  /** Whose pages may call the data plane from a browser. */
  readonly corsOrigins: ReadonlySet<string>;
  readonly upstreamProxy: {
    readonly httpsProxy: string | undefined;
    readonly noProxy: string | undefined;
  };
  readonly deadlines: Deadlines;
  /** How long open calls may go on whose token was replaced by a redeployment or has expired, in milliseconds. */
  readonly redeployGraceMs: number;
  /** How long the event of a release counts, for an agent, a secret's version and a process, in milliseconds. */
  readonly releaseEveryMs: number;
  /** Where the audit's checkpoints are sent. */
  readonly checkpoints: CheckpointSettings;
  readonly logLevel: "debug" | "info" | "warn" | "error";
  /** `stdout`, `stderr`, or the absolute path of a file. */
  readonly logFile: string;
  /** How many processes serve; 1: this one, and no other. */
  readonly workers: number;
}

export interface CheckpointSettings {
  /** A file that each new one is appended to. */
  readonly file: string | undefined;
  /** https, or http on this machine; may have a user and a password. */
  readonly url: string | undefined;
  readonly syslog: SyslogAddress | undefined;
  /** How often at most, in milliseconds. */
  readonly intervalMs: number;
}

/** A file, the keys themselves, a command that prints them, or a file of what AWS KMS has sealed. */
export type MasterKeySource =
  | { readonly file: string }
  | { readonly value: string }
  | { readonly command: string }
  | { readonly kmsFile: string; readonly aws: AwsSettings };

/** How AWS is reached, and where credentials for it come from; as AWS's own SDKs have it. */
export interface AwsSettings {
  readonly region: string | undefined;
  /** In place of the region's own. */
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
  /** Of the instance's metadata service; undefined: it is not to be asked. */
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
  /** A client that has stopped reading while there is something to read. */
  readonly clientStallMs: number;
  /** A client that has stopped sending in the middle of its request body; all of a header section, if that is less than 30 s. */
  readonly clientIdleMs: number;
  /** From SIGTERM until open exchanges are cut. */
  readonly drainMs: number;
  /** Of it, for how long new connections are still accepted, so that whoever sends them notices. */
  readonly drainDelayMs: number;
}

/** The settings that a CLI command needs to reach the admin API. */
export interface ClientConfig {
  readonly adminUrl: string;
  readonly apiKey: string | undefined;
  /** What `register` trades. */
  readonly registrationToken: string | undefined;
  readonly dataDir: string;
  readonly publicUrl: string;
}

/** Builds the service's Config from the environment. Throws ConfigError naming the setting and what it wants. */
export function readConfig(env: Environment = process.env): Config {
  const get = (name: string): string | undefined => env[name]?.trim() || undefined;
  const proxyAddress = address(
    "X3SPROXY_PROXY_ADDR",
    get("X3SPROXY_PROXY_ADDR") ?? "127.0.0.1:8787",
  );
  const adminAddress = address(
    "X3SPROXY_ADMIN_ADDR",
    get("X3SPROXY_ADMIN_ADDR") ?? "127.0.0.1:8788",
  );
  const metricsAddress = address(
    "X3SPROXY_METRICS_ADDR",
    get("X3SPROXY_METRICS_ADDR") ?? "127.0.0.1:9464",
  );
  const tls = tlsFiles(get("X3SPROXY_TLS_CERT_FILE"), get("X3SPROXY_TLS_KEY_FILE"));
  const databaseUrl = secret("DATABASE_URL", get);
  if (databaseUrl !== undefined && !/^postgres(ql)?:\/\//.test(databaseUrl)) {
    throw new ConfigError("DATABASE_URL: give a URL that begins with postgres://");
  }
  const redisUrl = secret("REDIS_URL", get);
  if (redisUrl !== undefined && !isRedisUrl(redisUrl)) {
    throw new ConfigError(
      "REDIS_URL: give a URL as in redis://host:6379 or rediss://user:password@host:6379/0",
    );
  }
  const masterKey = masterKeySource(env);
  const duration = (name: string, fallback: string, least = "1ms"): number => {
    const ms = parseDuration(get(name) ?? fallback);
    if (ms === undefined || ms < (parseDuration(least) ?? 0) || ms > MAX_TIMER_MS) {
      throw new ConfigError(
        `${name}: give a duration between ${least} and 24d, as in 90s, 10m or 2h`,
      );
    }
    return ms;
  };
  const logLevel = get("X3SPROXY_LOG_LEVEL") ?? "info";
  if (logLevel !== "debug" && logLevel !== "info" && logLevel !== "warn" && logLevel !== "error") {
    throw new ConfigError("X3SPROXY_LOG_LEVEL: give debug, info, warn or error");
  }
  const logFile = get("X3SPROXY_LOG_FILE") ?? "stdout";
  return Object.freeze({
    databaseUrl,
    redisUrl,
    dataDir: resolve(get("X3SPROXY_DATA_DIR") ?? ".x3sproxy"),
    masterKey,
    proxyAddress,
    adminAddress,
    metricsAddress,
    tls,
    publicUrl: baseUrl(
      "X3SPROXY_PUBLIC_URL",
      get("X3SPROXY_PUBLIC_URL") ?? reachable(proxyAddress, tls),
    ),
    dashboardUrl: baseUrl(
      "X3SPROXY_DASHBOARD_URL",
      get("X3SPROXY_DASHBOARD_URL") ?? reachable(adminAddress, tls),
    ),
    originOverrides: originOverrides(env),
    allowPrivateUpstreams: cidrs(
      "X3SPROXY_ALLOW_PRIVATE_UPSTREAMS",
      get("X3SPROXY_ALLOW_PRIVATE_UPSTREAMS"),
    ),
    trustedProxies: cidrs("X3SPROXY_TRUSTED_PROXIES", get("X3SPROXY_TRUSTED_PROXIES")),
    corsOrigins: corsOrigins(get("X3SPROXY_CORS_ORIGINS")),
    upstreamProxy: readUpstreamProxy(env),
    deadlines: Object.freeze({
      connectMs: duration("X3SPROXY_CONNECT_TIMEOUT", "10s"),
      firstByteMs: duration("X3SPROXY_FIRST_BYTE_TIMEOUT", "10m"),
      upstreamIdleMs: duration("X3SPROXY_UPSTREAM_IDLE_TIMEOUT", "10m"),
      clientStallMs: duration("X3SPROXY_CLIENT_STALL_TIMEOUT", "5m"),
      clientIdleMs: duration("X3SPROXY_CLIENT_IDLE_TIMEOUT", "5m"),
      drainMs: duration("X3SPROXY_DRAIN_TIMEOUT", "30s"),
      // With a database of its own it is alone.
      drainDelayMs: duration("X3SPROXY_DRAIN_DELAY", databaseUrl === undefined ? "0s" : "5s", "0s"),
    }),
    redeployGraceMs: duration("X3SPROXY_REDEPLOY_GRACE", "60s", "0s"),
    // Longer than a grant lives, so that no grant outlives a release that was written for it.
    releaseEveryMs: duration("X3SPROXY_RELEASE_EVERY", "1h", "2m"),
    checkpoints: Object.freeze({
      file: get("X3SPROXY_CHECKPOINT_FILE"),
      url: checkpointUrl(get("X3SPROXY_CHECKPOINT_URL")),
      syslog: syslogAddress(get("X3SPROXY_CHECKPOINT_SYSLOG")),
      intervalMs: duration("X3SPROXY_CHECKPOINT_INTERVAL", "60s", "1s"),
    }),
    logLevel,
    logFile: logFile === "stdout" || logFile === "stderr" ? logFile : resolve(logFile),
    workers: workerCount(get("X3SPROXY_WORKERS") ?? "1"),
  });
}

/** The operator's forward proxy, by the names that other programs read, too. */
export function readUpstreamProxy(env: Environment = process.env): Config["upstreamProxy"] {
  const get = (name: string): string | undefined => env[name]?.trim() || undefined;
  return Object.freeze({
    httpsProxy: get("https_proxy") ?? get("HTTPS_PROXY"),
    noProxy: get("no_proxy") ?? get("NO_PROXY"),
  });
}

/** All of the environment, for a process that is started with it. */
export function environment(): NodeJS.ProcessEnv {
  return process.env;
}

/** The environment without what opens the service itself: for a command that prints master keys. */
export function commandEnvironment(env: Environment = process.env): NodeJS.ProcessEnv {
  const stores = new Set(["DATABASE_URL", "REDIS_URL", "PGPASSWORD"]);
  return Object.fromEntries(
    Object.entries(env).filter(([name]) => !name.startsWith("X3SPROXY_") && !stores.has(name)),
  );
}

/** Builds the settings of AWS from the environment. Throws ConfigError naming the setting and what it wants. */
export function readAwsSettings(env: Environment = process.env): AwsSettings {
  const get = (name: string): string | undefined => env[name]?.trim() || undefined;
  const endpoint = (service: string): string | undefined => {
    const name = `AWS_ENDPOINT_URL_${service}`;
    const own = get(name);
    const url = own ?? get("AWS_ENDPOINT_URL");
    return url === undefined
      ? undefined
      : baseUrl(own === undefined ? "AWS_ENDPOINT_URL" : name, url);
  };
  const relative = get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
  const metadataOff = get("AWS_EC2_METADATA_DISABLED")?.toLowerCase() === "true";
  return Object.freeze({
    region: get("AWS_REGION") ?? get("AWS_DEFAULT_REGION"),
    kmsEndpoint: endpoint("KMS"),
    stsEndpoint: endpoint("STS"),
    accessKeyId: get("AWS_ACCESS_KEY_ID"),
    secretAccessKey: get("AWS_SECRET_ACCESS_KEY"),
    sessionToken: get("AWS_SESSION_TOKEN"),
    webIdentityTokenFile: get("AWS_WEB_IDENTITY_TOKEN_FILE"),
    roleArn: get("AWS_ROLE_ARN"),
    containerCredentialsUrl:
      relative === undefined
        ? get("AWS_CONTAINER_CREDENTIALS_FULL_URI")
        : `http://169.254.170.2${relative}`,
    containerToken: get("AWS_CONTAINER_AUTHORIZATION_TOKEN"),
    containerTokenFile: get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"),
    metadataEndpoint: metadataOff
      ? undefined
      : baseUrl(
          "AWS_EC2_METADATA_SERVICE_ENDPOINT",
          get("AWS_EC2_METADATA_SERVICE_ENDPOINT") ?? "http://169.254.169.254",
        ),
  });
}

function masterKeySource(env: Environment): MasterKeySource | undefined {
  const sources: Readonly<Record<string, (text: string) => MasterKeySource>> = {
    X3SPROXY_MASTER_KEY_FILE: (file) => ({ file }),
    X3SPROXY_MASTER_KEY: (value) => ({ value }),
    X3SPROXY_MASTER_KEY_COMMAND: (command) => ({ command }),
    X3SPROXY_MASTER_KEY_KMS: (kmsFile) => ({ kmsFile, aws: readAwsSettings(env) }),
  };
  const given = Object.keys(sources).filter((name) => (env[name] ?? "").trim() !== "");
  if (given.length > 1) {
    throw new ConfigError(
      `set one of ${given.join(" and ")}, not ${given.length > 2 ? "all" : "both"}`,
    );
  }
  const [name = ""] = given;
  return sources[name]?.(env[name]?.trim() ?? "");
}

/** Builds the CLI's settings: where the admin API is, and the key for it. */
export function readClientConfig(
  { publicUrl }: { publicUrl?: string } = {},
  env: Environment = process.env,
): ClientConfig {
  const get = (name: string): string | undefined => env[name]?.trim() || undefined;
  const dataDir = resolve(get("X3SPROXY_DATA_DIR") ?? ".x3sproxy");
  const adminAddress = address(
    "X3SPROXY_ADMIN_ADDR",
    get("X3SPROXY_ADMIN_ADDR") ?? "127.0.0.1:8788",
  );
  const proxyAddress = address(
    "X3SPROXY_PROXY_ADDR",
    get("X3SPROXY_PROXY_ADDR") ?? "127.0.0.1:8787",
  );
  const tls = tlsFiles(get("X3SPROXY_TLS_CERT_FILE"), get("X3SPROXY_TLS_KEY_FILE"));
  return {
    dataDir,
    adminUrl: baseUrl(
      "X3SPROXY_ADMIN_URL",
      get("X3SPROXY_ADMIN_URL") ??
        // What the certificate names is a host name rather than the address that is listened on.
        (tls && get("X3SPROXY_DASHBOARD_URL")) ??
        reachable(adminAddress, tls),
    ),
    apiKey: get("X3SPROXY_API_KEY") ?? ownApiKey(dataDir),
    registrationToken: get("X3SPROXY_REGISTRATION_TOKEN"),
    publicUrl: baseUrl(
      publicUrl === undefined ? "X3SPROXY_PUBLIC_URL" : "--url",
      publicUrl ?? get("X3SPROXY_PUBLIC_URL") ?? reachable(proxyAddress, tls),
    ),
  };
}

function ownApiKey(dataDir: string): string | undefined {
  try {
    return (
      readSmallFileSync(resolve(dataDir, "admin-api-key")).toString("utf8").trim() || undefined
    );
  } catch {
    return undefined;
  }
}
