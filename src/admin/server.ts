// The admin listener: one Fastify instance, the funnel around it, one file a resource inside.
import { fastify } from "fastify";
import type { AddressInfo } from "node:net";
import type { Agents, CustomProviders } from "../access/index.ts";
import type { Clock } from "../clock.ts";
import type { Cidr, ListenAddress } from "../config.ts";
import type { Identity } from "../identity/index.ts";
import type { Log } from "../log.ts";
import type { Secrets } from "../vault/index.ts";
import { addAgentRoutes } from "./agents.ts";
import { parseAddress, trusts } from "./addresses.ts";
import { answerFrameworkError, answerProtocolError, installFunnel } from "./funnel.ts";
import { addIdentityRoutes } from "./identity.ts";
import { addPages } from "./pages.ts";
import { addProviderRoutes } from "./providers.ts";
import { addSecretRoutes } from "./secrets.ts";

const BODY_LIMIT_BYTES = 64 * 1024;
const REQUEST_TIMEOUT_MS = 15_000;

export interface AdminOptions {
  readonly identity: Identity;
  readonly secrets: Secrets;
  readonly agents: Agents;
  readonly customProviders: CustomProviders;
  readonly log: Log;
  readonly clock: Clock;
  /** As agents reach the data plane; no trailing slash. */
  readonly publicUrl: string;
  /** As browsers reach this listener; its host is one of the few that requests may name. */
  readonly dashboardUrl: string;
  readonly originOverrides: ReadonlyMap<string, string>;
  /** Whose X-Forwarded-For counts. */
  readonly trustedProxies: readonly Cidr[];
}

export interface Admin {
  /** Starts listening; answers the address that it got (port 0 picks one). */
  listen(address: ListenAddress): Promise<ListenAddress>;
  /** Stops accepting, lets open requests end, closes. */
  close(): Promise<void>;
}

/** Builds the admin side. Throws when a route declares no permission. */
export async function createAdmin(options: AdminOptions): Promise<Admin> {
  const app = fastify({
    logger: false,
    bodyLimit: BODY_LIMIT_BYTES,
    requestTimeout: REQUEST_TIMEOUT_MS,
    forceCloseConnections: "idle",
    trustProxy: (address) => trusts(options.trustedProxies, parseAddress(address)),
    frameworkErrors: answerFrameworkError,
    clientErrorHandler: answerProtocolError,
  });
  // JSON is the only body there is; the parser refuses `__proto__` and `constructor.prototype`.
  app.removeContentTypeParser("text/plain");
  let listening: ListenAddress | undefined;
  installFunnel(app, { ...options, listening: () => listening });
  addIdentityRoutes(app, options);
  addSecretRoutes(app, options);
  addAgentRoutes(app, options);
  addProviderRoutes(app, options);
  await addPages(app);
  await app.ready();
  return {
    async listen({ host, port }) {
      await app.listen({ host, port });
      const bound = app.server.address() as AddressInfo;
      listening = { host: bound.address, port: bound.port };
      return listening;
    },
    close: () => app.close(),
  };
}
