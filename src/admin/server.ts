// The admin listener: one Fastify instance, the steps of funnel.ts around every route, and one file for each resource.
import { fastify, type FastifyInstance } from "fastify";
import { lookup } from "node:dns/promises";
import { Server as TlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import type {
  Agents,
  CustomProviders,
  Environments,
  Leases,
  NewAgents,
  Registrations,
  ScopeTrials,
} from "../agents/index.ts";
import type { Audit, AuditProofs, Erasures } from "../audit/index.ts";
import type { Backups } from "../backup/index.ts";
import type { Certificate } from "../platform/certificate.ts";
import type { ActivityViews, CallViews } from "../activity/index.ts";
import type { Clock } from "../platform/clock.ts";
import { boundConnections } from "../platform/connection-bounds.ts";
import type { Cidr } from "../platform/addresses.ts";
import type { ListenAddress } from "../platform/config.ts";
import type { Identity } from "../identity/index.ts";
import { SHARING } from "../platform/listen.ts";
import type { Log } from "../platform/log.ts";
import type { Metrics } from "../platform/metrics.ts";
import type { KeyTests, MasterKeys, Secrets } from "../vault/index.ts";
import { accountHandlers } from "./account.ts";
import { activityHandlers } from "./activity.ts";
import { agentTokenHandlers } from "./agent-tokens.ts";
import { agentHandlers } from "./agents.ts";
import { createEarlyAnswers } from "./answers.ts";
import { apiKeyHandlers } from "./api-keys.ts";
import { auditExportHandlers } from "./audit-export.ts";
import { auditHandlers } from "./audit.ts";
import { createSessionCookie } from "./browsers.ts";
import { addDashboard } from "./dashboard.ts";
import { installFunnel } from "./funnel.ts";
import { installationHandlers } from "./installation.ts";
import { createLocalListener } from "./local-listener.ts";
import { openApiDocument, type OpenApiDocument } from "./openapi.ts";
import { providerHandlers } from "./providers.ts";
import { addReference } from "./reference.ts";
import { addRoutes } from "./route.ts";
import { secretHandlers } from "./secrets.ts";
import { userHandlers } from "./users.ts";
import { workspaceHandlers } from "./workspace.ts";

const BODY_LIMIT_BYTES = 64 * 1024;
const REQUEST_TIMEOUT_MS = 15_000;
const HEADERS_TIMEOUT_MS = 10_000;
const HANDSHAKE_WITHIN_MS = 10_000;
const LOOK_EVERY_MS = 2_000;
// The idle timeout of a connection, also during a slow export or backup.
const SILENT_MS = 300_000;
const CLOSE_WITHIN_MS = 10_000;
const CLOSE_POLL_MS = 50;

export interface AdminOptions {
  readonly identity: Identity;
  readonly secrets: Secrets;
  readonly agents: Agents;
  readonly registrations: Registrations;
  readonly leases: Leases;
  readonly newAgents: NewAgents;
  readonly customProviders: CustomProviders;
  readonly environments: Environments;
  readonly audit: Audit;
  readonly auditProofs: AuditProofs;
  readonly erasures: Erasures;
  readonly backups: Backups;
  readonly activity: ActivityViews;
  readonly calls: CallViews;
  readonly scopeTrials: ScopeTrials;
  readonly keyTests: KeyTests;
  readonly masterKeys: MasterKeys;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly clock: Clock;
  /** How agents reach the data plane; without a trailing slash. */
  readonly publicUrl: string;
  /** How browsers reach this listener. Its host is one of the few that a request's Host may name. */
  readonly dashboardUrl: string;
  readonly originOverrides: ReadonlyMap<string, string>;
  /** The proxies whose X-Forwarded-For is believed. */
  readonly trustedProxies: readonly Cidr[];
  /** With it the listener speaks only TLS. */
  readonly certificate?: Certificate | undefined;
}

export interface Admin {
  /** Starts listening, also at `socketPath` if given. Resolves to the address (port 0 picks a free one). */
  listen(address: ListenAddress, socketPath?: string): Promise<ListenAddress>;
  /** Stops accepting connections, gives open requests 10 s to end, then closes them. */
  close(): Promise<void>;
}

/** Builds the admin side. Throws when a route declares no permission. */
export async function createAdmin(options: AdminOptions): Promise<Admin> {
  const { certificate } = options;
  // funnel.ts refuses a request without a Host. Node's own refusal would lack our headers.
  const http = {
    requireHostHeader: false,
    headersTimeout: HEADERS_TIMEOUT_MS,
    connectionsCheckingInterval: LOOK_EVERY_MS,
  };
  const app: FastifyInstance = fastify({
    logger: false,
    ...{ http }, // for plain HTTP; Fastify's types allow it only without `https`
    https:
      certificate === undefined
        ? null
        : { ...certificate.options, ...http, handshakeTimeout: HANDSHAKE_WITHIN_MS },
    bodyLimit: BODY_LIMIT_BYTES,
    requestTimeout: REQUEST_TIMEOUT_MS,
    connectionTimeout: SILENT_MS,
    forceCloseConnections: "idle",
    // While we close, requests on open connections are still answered as usual.
    return503OnClosing: false,
    ...createEarlyAnswers({ secure: options.dashboardUrl.startsWith("https:") }),
  });
  boundConnections(app.server, { ...options, listener: "admin" });
  // An unknown expectation may be ignored (RFC 9110, 10.1.1). Node would answer it by itself.
  app.server.on("checkExpectation", (...call) => app.server.emit("request", ...call));
  // Their size is limited already. Past a number of fields Node would silently drop the rest, perhaps a proxy's X-Forwarded-For.
  app.server.maxHeadersCount = 0;
  if (app.server instanceof TlsServer) certificate?.keepCurrent(app.server);
  // JSON is the only body there is; the parser refuses `__proto__` and `constructor.prototype`.
  app.removeContentTypeParser("text/plain");
  let listening: ListenAddress | undefined;
  let isClosing = false;
  app.addHook("onSend", async (_request, reply) => {
    if (isClosing) reply.header("connection", "close");
  });
  installFunnel(app, { ...options, listening: () => listening });
  const cookieName = createSessionCookie(options.dashboardUrl).name;
  // Made on first use: it takes longer than the rest of this function.
  let made: OpenApiDocument | undefined;
  const document = () => (made ??= openApiDocument(cookieName));
  addRoutes(app, {
    ...accountHandlers(options),
    ...userHandlers(options),
    ...apiKeyHandlers(options),
    ...workspaceHandlers(options),
    ...installationHandlers({ ...options, document }),
    ...secretHandlers(options),
    ...agentHandlers(options),
    ...agentTokenHandlers(options),
    ...providerHandlers(options),
    ...auditHandlers(options),
    ...auditExportHandlers(app, options),
    ...activityHandlers(options),
  });
  await addDashboard(app);
  await addReference(app, document, options);
  await app.ready();
  const local = createLocalListener(app, { port: () => listening?.port, log: options.log });
  return {
    async listen({ host, port }, socketPath) {
      // For "localhost" Fastify would make a server for each address. The further ones would get no renewed certificates, and would
      // not answer as we do to bytes that are not HTTP.
      const at = host === "localhost" ? (await lookup(host)).address : host;
      await app.listen({ host: at, port, ...SHARING });
      const bound = app.server.address() as AddressInfo;
      listening = { host: bound.address, port: bound.port };
      if (socketPath !== undefined) await local.listen(socketPath);
      return listening;
    },
    async close() {
      isClosing = true;
      const idle = setInterval(() => app.server.closeIdleConnections(), CLOSE_POLL_MS);
      const late = setTimeout(() => {
        app.server.closeAllConnections();
        local.closeAllConnections();
      }, CLOSE_WITHIN_MS);
      await Promise.all([app.close(), local.close()]);
      clearInterval(idle);
      clearTimeout(late);
    },
  };
}
