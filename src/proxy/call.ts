// What is known of one request while it is under way. The steps of its way fill it in, and a refusal's message reads it. Must never hold a
// key.
import type { IncomingMessage } from "node:http";
import type { Grants, CustomProvider, Grant } from "../grants/index.ts";
import { sourceAddress } from "../platform/addresses.ts";
import type { Cidr } from "../platform/addresses.ts";
import { builtInProviders, type CredentialScheme, type ErrorShape } from "../providers/index.ts";
import type { Answer } from "./answer.ts";
import type { Exchange } from "./exchange.ts";
import { fieldValue, hasHeader } from "./headers.ts";
import type { RefusalContext } from "./refusal.ts";
import { namedProvider, type Route } from "./route.ts";

export interface CallContext {
  readonly grants: Pick<Grants, "isCurrent" | "admit">;
  readonly originOverrides: ReadonlyMap<string, string>;
  readonly hostSuffix: string | undefined;
  readonly dashboardUrl: string;
  /** Whose X-Forwarded-For counts. */
  readonly trustedProxies: readonly Cidr[];
}

/** The provider of a call, built-in or of the grant's workspace. */
export interface Target {
  readonly name: string;
  readonly title: string;
  readonly origin: string | undefined;
  /** Where a custom provider takes its key now; undefined for a built-in one. */
  readonly credential: CredentialScheme | undefined;
}

export class Call {
  readonly exchange: Exchange;
  readonly request: IncomingMessage;
  readonly response: Answer;
  /** Content-Length as it came, checked by the parser; undefined when there is none. */
  readonly lengthText: string | undefined;
  /** The same as a number of bytes. */
  readonly contentLength: number | undefined;
  readonly isChunked: boolean;
  /** Whether it says on whose behalf it is made. */
  hasContext = false;
  /** What its token resolved to last. */
  grant: Grant | undefined;
  target: Target | undefined;
  sensitiveEndpoint: string | undefined;
  /** Of a limit that refuses it: in how many seconds it is worth another try. */
  retryAfterS: number | undefined;
  readonly #context: CallContext;
  #errorShape: ErrorShape = "openai";

  constructor(
    context: CallContext,
    exchange: Exchange,
    { request, response }: Pick<Call, "request" | "response">,
  ) {
    this.#context = context;
    this.exchange = exchange;
    this.request = request;
    this.response = response;
    const { rawHeaders } = request;
    this.lengthText = fieldValue(rawHeaders, "content-length");
    this.contentLength = this.lengthText === undefined ? undefined : Number(this.lengthText);
    this.isChunked = hasHeader(rawHeaders, "transfer-encoding");
    exchange.address = sourceAddress(
      request.socket.remoteAddress,
      rawHeaders,
      context.trustedProxies,
    );
  }

  /** Notes its path, and its provider if that is built in. */
  noteRoute(route: Route): void {
    const { exchange } = this;
    if (route.canonicalPath !== undefined) {
      exchange.path = route.path;
      exchange.canonicalPath = route.canonicalPath;
    }
    const builtIn = builtInProviders.get(route.provider);
    if (builtIn === undefined) return;
    exchange.provider = builtIn.name;
    exchange.providerIsBuiltIn = true;
    this.#errorShape = builtIn.errorShape;
    this.target = {
      name: builtIn.name,
      title: builtIn.title,
      origin: this.#context.originOverrides.get(builtIn.name) ?? builtIn.origin,
      credential: undefined,
    };
  }

  /** Notes a custom provider of its grant's workspace. */
  noteCustomProvider({ name, origin, credential }: CustomProvider): Target {
    this.exchange.provider = name;
    return (this.target = { name, title: name, origin, credential });
  }

  /** Notes its grant; from now on the exchange belongs to that agent. */
  noteGrant(grant: Grant): void {
    const { exchange } = this;
    this.grant = grant;
    exchange.workspaceId = grant.workspaceId;
    exchange.agentId = grant.agentId;
    exchange.agent = grant.agentName;
    exchange.deployment = grant.deployment;
  }

  /** Whether its token still resolves to its grant, and the grant may be used now. Check it after each wait. */
  isCurrent(): boolean {
    const { grant } = this;
    const { grants } = this.#context;
    return (
      grant !== undefined &&
      grants.isCurrent(grant) &&
      grants.admit(grant, this.exchange.address) === undefined
    );
  }

  /** What a refusal may say as of now. */
  refusalContext(): RefusalContext {
    return {
      exchangeId: this.exchange.id,
      errorShape: this.#errorShape,
      provider: this.target,
      agent: this.grant?.agentName,
      environment: this.grant?.environment,
      sensitiveEndpoint: this.sensitiveEndpoint,
      namedProvider: this.target === undefined ? this.#namedProvider() : undefined,
      dashboardUrl: this.#context.dashboardUrl,
      retryAfterS: this.retryAfterS,
    };
  }

  #namedProvider(): string {
    const { url = "", rawHeaders } = this.request;
    return namedProvider(url, fieldValue(rawHeaders, "host"), this.#context.hostSuffix);
  }
}
