// All settings: one row a setting, with the form of its text, its default, and what it means. docs/settings.md is made from this table
// (node test/support/settings-page.ts --write).
//
// To add one: a row here, and a member of Config in config.ts that reads it. `otherwise` says in words what holds when it isn't set,
// where that is no fixed text.
import { z } from "zod";
import {
  addressBlocks,
  checkpointUrl,
  corsOrigins,
  dashboardUrl,
  durationFrom,
  httpUrl,
  listenAddress,
  logTarget,
  origin,
  path,
  plain,
  postgresUrl,
  redisUrl,
  syslogAddress,
  workerCount,
} from "./config-values.ts";

const filePath = plain("the path of a file, as in /etc/x3sproxy/file.pem").optional();

const stores = {
  DATABASE_URL: postgresUrl.optional().meta({
    description:
      "Postgres 15 or newer, one or several hosts of which the primary is used, a database of its own (others lose the right to connect to it), as a role that owns it and may create roles; written as [libpq takes it](operations.md#postgres), by TLS to another machine unless `sslmode=disable` is said",
    otherwise: "an embedded server in the data folder",
  }),
  DATABASE_URL_FILE: filePath.meta({
    description: "a file with the value of `DATABASE_URL`, in its place",
  }),
  REDIS_URL: redisUrl.optional().meta({
    description:
      "Redis 6 or newer, or Valkey; `rediss://` is by TLS. All processes then share what agents and workspaces use of their [limits](scopes.md#limits)",
    otherwise: "none: each process counts for itself",
  }),
  REDIS_URL_FILE: filePath.meta({
    description: "a file with the value of `REDIS_URL`, in its place",
  }),
  X3SPROXY_DATA_DIR: path.prefault(".x3sproxy").meta({ description: "data folder, mode 0700" }),
  X3SPROXY_WORKERS: workerCount.prefault("1").meta({
    description:
      "how many processes serve, on all listeners together; `auto`: one for each processor ([operations](operations.md))",
  }),
};

const masterKeys = {
  X3SPROXY_MASTER_KEY_FILE: filePath.meta({
    description: "the [master key](master-key.md) from a file, or several keys",
    otherwise: "`master.key` in the data folder, made on the first start; none with `DATABASE_URL`",
  }),
  X3SPROXY_MASTER_KEY: plain("32 bytes in base64").optional().meta({
    description: "the master key itself; several: to go over from one to another",
  }),
  X3SPROXY_MASTER_KEY_COMMAND: plain("a command").optional().meta({
    description: "the master key from a command's output",
  }),
  X3SPROXY_MASTER_KEY_KMS: filePath.meta({
    description: "the master key from a file that AWS KMS has sealed",
  }),
};

const listeners = {
  X3SPROXY_PROXY_ADDR: listenAddress.prefault("127.0.0.1:8787").meta({
    description: "the data plane",
  }),
  X3SPROXY_ADMIN_ADDR: listenAddress.prefault("127.0.0.1:8788").meta({
    description: "REST API under `/api/v1`, dashboard at `/`",
  }),
  X3SPROXY_METRICS_ADDR: listenAddress.prefault("127.0.0.1:9464").meta({
    description: "`/metrics`, `/healthz`, `/readyz`",
  }),
  X3SPROXY_TLS_CERT_FILE: filePath.meta({
    description:
      "certificate with its chain, PEM: the data plane and the admin side then speak TLS 1.3 and nothing else. Renewed files are taken within a minute, without a restart",
    otherwise: "none: plain HTTP",
  }),
  X3SPROXY_TLS_KEY_FILE: filePath.meta({ description: "its private key, PEM" }),
  X3SPROXY_PUBLIC_URL: httpUrl.meta({
    description: "the data plane as agents reach it",
    otherwise: "the address above, `https` with a certificate",
  }),
  X3SPROXY_DASHBOARD_URL: dashboardUrl.meta({
    description:
      "the dashboard as browsers reach it, without a path. Nobody signs in by plain `http:` over a network: with a URL of that kind the service warns when it starts, and answers 403 `https_needed`; API keys go on working",
    otherwise: "the address above, `https` with a certificate",
  }),
  X3SPROXY_CORS_ORIGINS: corsOrigins.prefault("").meta({
    description:
      "whose pages may call the data plane from a browser ([exposing](exposing.md#browser-apps))",
  }),
  X3SPROXY_TRUSTED_PROXIES: addressBlocks.prefault("").meta({
    description:
      "addresses of proxies whose `X-Forwarded-For` counts ([no wider](exposing.md#trusted-proxies))",
  }),
};

const upstreams = {
  "X3SPROXY_ORIGIN_<PROVIDER>": origin.optional().meta({
    description: "another origin for a built-in provider, as `X3SPROXY_ORIGIN_AZURE_OPENAI`",
    otherwise: "the provider's own",
  }),
  X3SPROXY_ALLOW_PRIVATE_UPSTREAMS: addressBlocks.prefault("").meta({
    description: "address blocks in which private addresses and plain `http:` are allowed",
  }),
  HTTPS_PROXY: plain("an http or https URL").optional().meta({
    description: "a forward proxy for calls to providers, and to AWS KMS; also as `https_proxy`",
  }),
  NO_PROXY: plain(
    "names (for those below them, too), `.suffix`, addresses, `host:port`, `[::1]:443`, blocks as 10.0.0.0/8 for addresses, `*`; behind commas or spaces",
  )
    .optional()
    .meta({ description: "what is reached past `HTTPS_PROXY`; also as `no_proxy`" }),
  NODE_EXTRA_CA_CERTS: filePath.meta({
    description: "further certificate authorities, PEM; read by Node itself",
  }),
};

const duration = durationFrom("1ms");

const deadlines = {
  X3SPROXY_CONNECT_TIMEOUT: duration.prefault("10s").meta({
    description: "name, TCP and TLS to the provider",
  }),
  X3SPROXY_FIRST_BYTE_TIMEOUT: duration.prefault("10m").meta({
    description: "from the request sent until an answer begins",
  }),
  X3SPROXY_UPSTREAM_IDLE_TIMEOUT: duration.prefault("10m").meta({
    description: "silence within an answer",
  }),
  X3SPROXY_CLIENT_STALL_TIMEOUT: duration.prefault("5m").meta({
    description: "a client that stops reading",
  }),
  X3SPROXY_CLIENT_IDLE_TIMEOUT: duration.prefault("5m").meta({
    description: "a client that stops sending its body",
  }),
  X3SPROXY_DRAIN_TIMEOUT: duration.prefault("30s").meta({
    description: "from SIGTERM until what is open is cut ([draining](draining.md))",
  }),
  X3SPROXY_DRAIN_DELAY: durationFrom("0s").meta({
    description:
      "of it, for how long new connections are still accepted, so that a load balancer notices",
    otherwise: "`5s` with `DATABASE_URL`, else `0s`",
  }),
  X3SPROXY_REDEPLOY_GRACE: durationFrom("0s").prefault("60s").meta({
    description:
      "how long open calls go on when a redeployment has replaced their token, or it has expired; `0s`: not at all",
  }),
};

const records = {
  // Longer than a grant lives, so that no grant outlives a release that was written for it.
  X3SPROXY_RELEASE_EVERY: durationFrom("2m").prefault("1h").meta({
    description:
      "how long the event of a release counts, for an agent, a version of a key and a process ([audit events](audit-events.md#releases))",
  }),
  X3SPROXY_CHECKPOINT_FILE: filePath.meta({
    description: "a file that the audit's [checkpoints](audit.md) are appended to",
  }),
  X3SPROXY_CHECKPOINT_URL: checkpointUrl.optional().meta({
    description: "where they are posted; may have a user and a password",
  }),
  X3SPROXY_CHECKPOINT_SYSLOG: syslogAddress.optional().meta({
    description: "a syslog server that they are sent to",
  }),
  X3SPROXY_CHECKPOINT_INTERVAL: durationFrom("1s").prefault("60s").meta({
    description: "how often a workspace's checkpoint is sent at most",
  }),
  X3SPROXY_LOG_LEVEL: z
    .enum(["debug", "info", "warn", "error"], { error: "give debug, info, warn or error" })
    .prefault("info")
    .meta({ wants: "debug, info, warn or error", description: "this level and what is above it" }),
  X3SPROXY_LOG_FORMAT: z.enum(["json", "text"], { error: "give json or text" }).optional().meta({
    wants: "json or text",
    description: "one JSON object a line, or words for people",
    otherwise: "`text` on a terminal, else `json`",
  }),
  X3SPROXY_LOG_FILE: logTarget.prefault("stdout").meta({
    description: "where the [log](logging.md) goes",
  }),
};

const commandLine = {
  X3SPROXY_ADMIN_URL: httpUrl.meta({
    description: "where the command line finds the REST API",
    otherwise: "the dashboard's URL with a certificate, else the address of the admin side",
  }),
  X3SPROXY_API_KEY: plain("an API key").optional().meta({
    description: "the key that it calls it with",
    otherwise: "on the service's machine the owner key in the data folder",
  }),
  X3SPROXY_REGISTRATION_TOKEN: plain("a registration token").optional().meta({
    description: "what `register` trades for a token",
  }),
};

const text = plain("as AWS's own tools take it").optional();

const aws = {
  AWS_REGION: text.meta({ description: "the region of KMS; also as `AWS_DEFAULT_REGION`" }),
  AWS_ACCESS_KEY_ID: text.meta({ description: "a key of AWS" }),
  AWS_SECRET_ACCESS_KEY: text.meta({ description: "its secret" }),
  AWS_SESSION_TOKEN: text.meta({ description: "its session" }),
  AWS_WEB_IDENTITY_TOKEN_FILE: text.meta({ description: "a token that is traded for a key" }),
  AWS_ROLE_ARN: text.meta({ description: "the role that it is traded for" }),
  AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: text.meta({ description: "where ECS gives a key" }),
  AWS_CONTAINER_CREDENTIALS_FULL_URI: text.meta({ description: "where EKS gives one" }),
  AWS_CONTAINER_AUTHORIZATION_TOKEN: text.meta({ description: "what is shown there" }),
  AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: text.meta({ description: "a file with it" }),
  AWS_EC2_METADATA_DISABLED: text.meta({
    description: "`true`: the machine isn't asked for a key",
  }),
  AWS_EC2_METADATA_SERVICE_ENDPOINT: httpUrl.prefault("http://169.254.169.254").meta({
    description: "where the machine is asked",
  }),
  AWS_ENDPOINT_URL: httpUrl.optional().meta({ description: "in place of AWS's own endpoints" }),
  AWS_ENDPOINT_URL_KMS: httpUrl.optional().meta({ description: "in place of that of KMS" }),
  AWS_ENDPOINT_URL_STS: httpUrl.optional().meta({ description: "in place of that of STS" }),
  AWS_DEFAULT_REGION: text.meta({ description: "as `AWS_REGION`, which goes before it" }),
};

/** As docs/settings.md shows them. */
export const parts: Readonly<Record<string, z.ZodObject>> = {
  "Data and processes": z.object(stores),
  "Master key": z.object(masterKeys),
  Listeners: z.object(listeners),
  Upstreams: z.object(upstreams),
  Deadlines: z.object(deadlines),
  "Audit and log": z.object(records),
  "Command line": z.object(commandLine),
  AWS: z.object(aws),
};

export const settings = {
  ...stores,
  ...masterKeys,
  ...listeners,
  ...upstreams,
  ...deadlines,
  ...records,
  ...commandLine,
  ...aws,
} as const;

export type Environment = Readonly<Record<string, string | undefined>>;

export type SettingName = keyof typeof settings;
