// One request on its way: route, token, grant, authorisation; and again, in the turn in which it is sent: grant, release, injection.
// What is judged is the request as it was rewritten. HTTP and WebSocket share all of it. Must never give a plan that a change has
// overtaken, and never open a key for a call that is refused.
import type { IncomingMessage } from "node:http";
import type { Access, CustomProvider, Grant } from "../access/index.ts";
import { sourceAddress } from "../addresses.ts";
import type { Cidr } from "../config.ts";
import { SealError, type RefusalReason } from "../errors.ts";
import {
  builtInProviders,
  mayCarryKey,
  sensitiveEndpoint,
  type CredentialScheme,
  type ErrorShape,
} from "../providers/index.ts";
import type { HeldSecret, ReleasedSecret, Vault } from "../vault/index.ts";
import { readContext } from "./context.ts";
import { carriesForeign, findToken, stripQuery } from "./credential-slots.ts";
import type { Exchange } from "./exchange.ts";
import { fieldValue, hasHeader, isWellFramed, rewriteRequest, withoutField } from "./headers.ts";
import { checkModel } from "./model-check.ts";
import type { BodyReader } from "./model-judge.ts";
import { REGISTER_PATH } from "./registration.ts";
import type { RefusalContext } from "./refusal.ts";
import { noteRequestIds } from "./request-ids.ts";
import { findRoute, namedProvider, type Route } from "./route.ts";

export interface CallContext {
  readonly access: Access;
  readonly vault: Vault;
  readonly originOverrides: ReadonlyMap<string, string>;
  readonly hostSuffix: string | undefined;
  readonly dashboardUrl: string;
  /** Whose X-Forwarded-For counts. */
  readonly trustedProxies: readonly Cidr[];
}

/** What is known of a call before it waits for anything of its own. */
export type Verdict =
  /** It may go up, as of now: its limits come next, then `prepare`. */
  | { readonly kind: "forward"; readonly grant: Grant }
  | { readonly kind: "own"; readonly path: string; readonly grant: Grant }
  /** A registration to be traded: its credential is another than a token. */
  | { readonly kind: "register" }
  /** An unauthenticated look whether anything is there, as some clients begin with. */
  | { readonly kind: "probe" }
  | { readonly kind: "refuse"; readonly reason: RefusalReason };

/** A request as it goes up. Good in the turn of the event loop in which it was made: it holds the key. */
export interface Plan {
  readonly origin: string;
  /** Path and query, raw. */
  readonly target: string;
  readonly headers: string[];
  /** Where in them the credential begins. */
  readonly injectedFrom: number;
  /** The scheme name of a credential that stood among the WebSocket subprotocols, if one did. */
  readonly subprotocolScheme: string | undefined;
  /** All of a streamed body has to pass it before the last of it goes on. */
  readonly bodyReader: BodyReader | undefined;
}

export type Prepared = Plan | RefusalReason | Promise<Plan | RefusalReason>;

/** The provider of a call, built-in or of the grant's workspace. */
interface Target {
  readonly name: string;
  readonly title: string;
  readonly origin: string | undefined;
  /** Of a custom one: where it takes its key now. A built-in one's key goes where it was sealed for. */
  readonly credential: CredentialScheme | undefined;
}

const UNKNOWN_SHAPE: ErrorShape = "openai";
// How often a call looks at its grant before it is sent: once more for each release that is recorded, since a change may come in between.
const MAX_LOOKS = 4;

/** What of a request is known once its token is found. */
interface Found {
  readonly token: string;
  readonly route: Route;
  readonly canonicalPath: string;
}

/** What the grant allows, and what it allows it to. */
interface Authorised {
  readonly grant: Grant;
  readonly target: Target;
  readonly secret: HeldSecret;
  readonly found: Found;
  /** The request without its credential; behind that, from its last preparation, the key. */
  readonly headers: string[];
  readonly injectedFrom: number;
  readonly query: string | undefined;
  readonly subprotocolScheme: string | undefined;
  readonly bodyReader: BodyReader | undefined;
  /** Whether the reader has begun: it reads one body once. */
  isRead: boolean;
}

export class Call {
  readonly exchange: Exchange;
  readonly request: IncomingMessage;
  /** The checked Content-Length, in bytes; undefined when there is none. */
  readonly contentLength: number | undefined;
  readonly isChunked: boolean;
  grant: Grant | undefined;
  /** Of a limit that refuses it: in how many seconds it is worth another try. */
  retryAfterS: number | undefined;
  readonly #context: CallContext;
  readonly #lengthText: string | undefined;
  #target: Target | undefined;
  #errorShape: ErrorShape = UNKNOWN_SHAPE;
  #sensitiveEndpoint: string | undefined;
  #authorised: Authorised | undefined;
  #hasContext = false;

  constructor(context: CallContext, exchange: Exchange, request: IncomingMessage) {
    this.#context = context;
    this.exchange = exchange;
    this.request = request;
    const length = fieldValue(request.rawHeaders, "content-length");
    this.#lengthText = length;
    this.contentLength = length === undefined ? undefined : Number(length);
    this.isChunked = hasHeader(request.rawHeaders, "transfer-encoding");
    exchange.address = sourceAddress(
      request.socket.remoteAddress,
      request.rawHeaders,
      context.trustedProxies,
    );
  }

  /** Decides as far as the head allows it: at once when the grant is in the cache, else later. */
  decide(): Verdict | Promise<Verdict> {
    const { request, exchange } = this;
    if (!isWellFramed(request.rawHeaders, request.httpVersion)) return refuse("bad_request");
    const route = findRoute(
      request.url ?? "",
      fieldValue(request.rawHeaders, "host"),
      this.#context.hostSuffix,
    );
    if (typeof route === "string") return refuse(route);
    this.#learnRoute(route);
    const { canonicalPath } = route;
    if (canonicalPath === undefined) return refuse("bad_path");
    if (exchange.method === "CONNECT" || exchange.method === "TRACE") {
      return refuse("method_not_allowed");
    }
    if (route.provider === "" && route.path === REGISTER_PATH && exchange.method === "POST") {
      return { kind: "register" };
    }
    const found = findToken(request.rawHeaders, route.query);
    if (typeof found === "string") {
      const probes = found === "missing_token" && exchange.method === "HEAD" && route.path === "/";
      return probes && exchange.providerIsBuiltIn ? { kind: "probe" } : refuse(found);
    }
    this.#hasContext = found.hasContext;
    if (found.hasIds) noteRequestIds(exchange, request.rawHeaders);
    const known = { token: found.token, route, canonicalPath };
    const resolved = this.#resolve(found.token);
    return resolved instanceof Promise
      ? resolved.then((grant) => this.#verdictOf(grant, known))
      : this.#verdictOf(resolved, known);
  }

  /**
   * Whether what was decided is what would be decided now. To be asked after each wait, and the call to be prepared anew when not.
   */
  isCurrent(): boolean {
    const { access } = this.#context;
    const grant = this.#authorised?.grant;
    return (
      grant !== undefined &&
      access.isCurrent(grant) &&
      access.admit(grant, this.exchange.address) === undefined
    );
  }

  /**
   * The request to send in this turn of the event loop, or why it is refused by now: decides again what has been overtaken, judges
   * the gathered `body`, has the release of the key recorded, and opens it. Rejects or throws what is nobody's refusal.
   */
  prepare(body?: Buffer): Prepared {
    const authorised = this.#authorised;
    if (authorised === undefined) throw new Error("a call that is prepared before its decision");
    return this.#prepareOn(authorised, body, MAX_LOOKS);
  }

  /** Lets go of what it was prepared with; it can't be prepared again. */
  forget(): void {
    this.#authorised = undefined;
  }

  /** What a refusal may say as of now. */
  refusalContext(): RefusalContext {
    return {
      exchangeId: this.exchange.id,
      errorShape: this.#errorShape,
      provider: this.#target,
      agent: this.grant?.agentName,
      environment: this.grant?.environment,
      sensitiveEndpoint: this.#sensitiveEndpoint,
      namedProvider: this.#target === undefined ? this.#namedProvider() : undefined,
      dashboardUrl: this.#context.dashboardUrl,
      retryAfterS: this.retryAfterS,
    };
  }

  #namedProvider(): string {
    const { url = "", rawHeaders } = this.request;
    return namedProvider(url, fieldValue(rawHeaders, "host"), this.#context.hostSuffix);
  }

  #learnRoute(route: Route): void {
    const { exchange } = this;
    if (route.canonicalPath !== undefined) {
      exchange.path = route.path;
      exchange.canonicalPath = route.canonicalPath;
    }
    if (route.provider === "") return;
    const builtIn = builtInProviders.get(route.provider);
    if (builtIn === undefined) return;
    exchange.provider = builtIn.name;
    exchange.providerIsBuiltIn = true;
    this.#errorShape = builtIn.errorShape;
    this.#target = {
      name: builtIn.name,
      title: builtIn.title,
      origin: this.#context.originOverrides.get(builtIn.name) ?? builtIn.origin,
      credential: undefined,
    };
  }

  #resolve(token: string): ReturnType<Access["resolve"]> {
    return this.#context.access.resolve(token, this.exchange.address, this.request.socket);
  }

  #verdictOf(resolved: Grant | RefusalReason, found: Found): Verdict {
    if (typeof resolved === "string") return refuse(resolved);
    const denied = this.#admit(resolved);
    if (denied !== undefined) return refuse(denied);
    const { route } = found;
    if (route.provider === "") return { kind: "own", path: route.path, grant: resolved };
    const authorised = this.#authorise(resolved, found);
    if (typeof authorised === "string") return refuse(authorised);
    this.#authorised = authorised;
    return { kind: "forward", grant: resolved };
  }

  /** Why the grant may not be used at all, or undefined: then the exchange is its agent's. */
  #admit(grant: Grant): RefusalReason | undefined {
    const { exchange } = this;
    this.grant = grant;
    exchange.workspaceId = grant.workspaceId;
    exchange.agentId = grant.agentId;
    exchange.agent = grant.agentName;
    exchange.deployment = grant.deployment;
    if (this.#hasContext) {
      const context = readContext(this.request.rawHeaders);
      if (context === undefined) return "bad_context";
      exchange.context = context;
    }
    return this.#context.access.admit(grant, exchange.address);
  }

  /** What the grant allows of this request; opens nothing. */
  #authorise(grant: Grant, found: Found): Authorised | RefusalReason {
    const { exchange, request } = this;
    const { route, canonicalPath } = found;
    if (!exchange.providerIsBuiltIn) {
      const custom = grant.customProviders.get(route.provider);
      if (custom === undefined) return "unknown_provider";
      exchange.provider = custom.name;
      this.#target = customTarget(custom);
      // A slot of its own, known only now.
      if (carriesForeign(request.rawHeaders, custom.credential.header)) return "foreign_credential";
    }
    const target = this.#target;
    if (target === undefined) return "unknown_provider";
    this.#sensitiveEndpoint = sensitiveEndpoint(target.name, exchange.method, canonicalPath);
    const denied = this.#context.access.decide(grant, {
      provider: target.name,
      method: exchange.method,
      path: canonicalPath,
      sensitiveEndpoint: this.#sensitiveEndpoint,
    });
    if (denied !== undefined) return denied;
    const secret = grant.secrets.get(target.name);
    if (secret === undefined) return "no_secret";
    if (secret.origin !== (target.origin ?? secret.origin)) return "origin_changed";
    const { header, scheme } = secret;
    const { credential } = target;
    if (credential !== undefined) {
      if (!mayCarryKey(credential.header)) return "header_refused";
      if (header !== credential.header || scheme !== credential.scheme) return "header_changed";
    }
    const { headers, subprotocolScheme } = rewriteRequest(request.rawHeaders, {
      slot: header,
      httpVersion: request.httpVersion,
      contentLength: this.#lengthText,
    });
    const query = stripQuery(route.query);
    const { models } = grant.scope;
    const model =
      models &&
      checkModel({
        provider: target.name,
        method: exchange.method,
        isWebSocket: exchange.websocket,
        path: route.path,
        canonicalPath,
        query,
        headers,
        hasBody: this.isChunked || (this.contentLength ?? 0) > 0,
        allows: models,
      });
    if (typeof model === "string") return model;
    // Messages are read as they come, so they must not be compressed.
    const sent =
      exchange.websocket && model !== undefined
        ? withoutField(headers, "sec-websocket-extensions")
        : headers;
    return {
      grant,
      target,
      secret,
      found,
      headers: sent,
      query,
      subprotocolScheme,
      injectedFrom: sent.length,
      bodyReader: model,
      isRead: false,
    };
  }

  #prepareOn(before: Authorised, body: Buffer | undefined, left: number): Prepared {
    // A reader reads one body once: a stream that is sent anew needs another.
    if (this.isCurrent() && !(before.isRead && body === undefined)) {
      return this.#judgeAndOpen(before, body, left);
    }
    const { found } = before;
    const proceed = (resolved: Grant | RefusalReason): Prepared => {
      if (typeof resolved === "string") return resolved;
      const authorised = this.#admit(resolved) ?? this.#authorise(resolved, found);
      if (typeof authorised === "string") return authorised;
      this.#authorised = authorised;
      return this.#judgeAndOpen(authorised, body, left);
    };
    const resolved = this.#resolve(found.token);
    return resolved instanceof Promise ? resolved.then(proceed) : proceed(resolved);
  }

  #judgeAndOpen(authorised: Authorised, body: Buffer | undefined, left: number): Prepared {
    const { bodyReader, grant, secret } = authorised;
    if (bodyReader !== undefined && body !== undefined && !authorised.isRead) {
      authorised.isRead = true;
      const refusal = bodyReader.take(body) ?? bodyReader.end();
      if (refusal !== undefined) return refusal;
    }
    const { released } = secret;
    if (released !== undefined) return this.#inject(authorised, released);
    if (left === 1) return "store_unavailable";
    return this.#context.access
      .release(grant, secret, this.exchange.address)
      .then((reason) => reason ?? this.#prepareOn(authorised, body, left - 1));
  }

  #inject(authorised: Authorised, secret: ReleasedSecret): Plan | RefusalReason {
    const { exchange } = this;
    const { target, headers, injectedFrom, query, subprotocolScheme, bodyReader } = authorised;
    const { path } = authorised.found.route;
    exchange.secretId = secret.secretId;
    exchange.secretVersion = secret.version;
    const origin = target.origin ?? secret.origin;
    try {
      headers.length = injectedFrom;
      this.#context.vault.inject(secret, origin).applyTo(headers);
      authorised.isRead = bodyReader !== undefined;
      return {
        origin,
        target: query === undefined ? path : `${path}?${query}`,
        headers,
        injectedFrom,
        subprotocolScheme,
        bodyReader,
      };
    } catch (error) {
      if (error instanceof SealError) return "secret_unreadable";
      throw error;
    }
  }
}

function customTarget(custom: CustomProvider): Target {
  return {
    name: custom.name,
    title: custom.name,
    origin: custom.origin,
    credential: custom.credential,
  };
}

function refuse(reason: RefusalReason): Verdict {
  return { kind: "refuse", reason };
}
