// One request on its way down the line: route, token, grant, decision, injection, rewritten head. Ends in a plan to forward, in
// a refusal, or in an answer of our own. HTTP and WebSocket share all of it.
import type { IncomingMessage } from "node:http";
import type { Access, CustomProvider, Grant } from "../access/index.ts";
import { sourceAddress } from "../addresses.ts";
import type { Cidr } from "../config.ts";
import { SealError, type RefusalReason } from "../errors.ts";
import {
  builtInProviders,
  sensitiveEndpoint,
  type CredentialScheme,
  type ErrorShape,
} from "../providers/index.ts";
import type { Injection, ReleasedSecret, Vault } from "../vault/index.ts";
import { readContext } from "./context.ts";
import { carriesForeign, findToken, stripQuery } from "./credential-slots.ts";
import type { Exchange } from "./exchange.ts";
import type { Plan } from "./forward.ts";
import { fieldValue, hasHeader, isWellFramed, requestHeaders } from "./headers.ts";
import { checkModel } from "./model-check.ts";
import type { BodyReader } from "./model-judge.ts";
import { REGISTER_PATH } from "./registration.ts";
import type { RefusalContext } from "./refusal.ts";
import { noteRequestIds } from "./request-ids.ts";
import { findRoute, type Route } from "./route.ts";

export interface CallContext {
  readonly access: Access;
  readonly vault: Vault;
  readonly originOverrides: ReadonlyMap<string, string>;
  readonly hostSuffix: string | undefined;
  readonly dashboardUrl: string;
  /** Whose X-Forwarded-For counts. */
  readonly trustedProxies: readonly Cidr[];
}

export type Verdict =
  | {
      readonly kind: "forward";
      readonly grant: Grant;
      readonly plan: Plan;
      readonly subprotocolScheme: string | undefined;
    }
  | { readonly kind: "own"; readonly path: string; readonly grant: Grant }
  /** A registration to be traded: its credential is another than a token. */
  | { readonly kind: "register" }
  /** An unauthenticated look whether anything is there, as some clients begin with. */
  | { readonly kind: "probe" }
  | { readonly kind: "refuse"; readonly reason: RefusalReason };

/** The provider of a call, built-in or of the grant's workspace. */
interface Target {
  readonly name: string;
  readonly title: string;
  readonly origin: string | undefined;
  readonly credential: CredentialScheme;
}

const UNKNOWN_SHAPE: ErrorShape = "openai";
// How often a call looks at its grant: once more for each time that a release is recorded, and a change may come in between.
const MAX_LOOKS = 4;

/** What of a request is known once its token is found. */
interface Found {
  readonly token: string;
  readonly route: Route;
  readonly canonicalPath: string;
}

export class Call {
  readonly exchange: Exchange;
  readonly request: IncomingMessage;
  grant: Grant | undefined;
  /** Of a limit that refuses it: in how many seconds it is worth another try. */
  retryAfterS: number | undefined;
  readonly #context: CallContext;
  #target: Target | undefined;
  #errorShape: ErrorShape = UNKNOWN_SHAPE;
  #sensitiveEndpoint: string | undefined;
  #hasContext = false;

  constructor(context: CallContext, exchange: Exchange, request: IncomingMessage) {
    this.#context = context;
    this.exchange = exchange;
    this.request = request;
    exchange.address = sourceAddress(
      request.socket.remoteAddress,
      // Which nobody needs to look for where nobody's counts.
      context.trustedProxies.length === 0
        ? undefined
        : fieldValue(request.rawHeaders, "x-forwarded-for"),
      context.trustedProxies,
    );
  }

  /** Goes down the line; calls `then` once: at once when the grant is in the cache, else later. */
  decide(then: (verdict: Verdict) => void): void {
    const { request, exchange } = this;
    if (!isWellFramed(request.rawHeaders, request.httpVersion)) {
      then(refuse("bad_request"));
      return;
    }
    const route = findRoute(
      request.url ?? "",
      fieldValue(request.rawHeaders, "host"),
      this.#context.hostSuffix,
    );
    if (typeof route === "string") {
      then(refuse(route));
      return;
    }
    this.#learnRoute(route);
    if (route.canonicalPath === undefined) {
      then(refuse("bad_path"));
      return;
    }
    if (exchange.method === "CONNECT" || exchange.method === "TRACE") {
      then(refuse("method_not_allowed"));
      return;
    }
    if (route.provider === "" && route.path === REGISTER_PATH && exchange.method === "POST") {
      then({ kind: "register" });
      return;
    }
    const found = findToken(request.rawHeaders, route.query);
    if (typeof found === "string") {
      const probes = found === "missing_token" && exchange.method === "HEAD" && route.path === "/";
      then(probes && exchange.providerIsBuiltIn ? { kind: "probe" } : refuse(found));
      return;
    }
    const { canonicalPath } = route;
    this.#hasContext = found.hasContext;
    if (found.hasIds) noteRequestIds(exchange, request.rawHeaders);
    const verdict = this.#look({ token: found.token, route, canonicalPath }, MAX_LOOKS);
    if (verdict instanceof Promise) {
      void verdict.catch(() => refuse("internal_error")).then(then);
    } else {
      then(verdict);
    }
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
      dashboardUrl: this.#context.dashboardUrl,
      retryAfterS: this.retryAfterS,
    };
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
      credential: builtIn.credential,
    };
  }

  /** Resolves the grant and decides. In one turn of the event loop from there to the injection. */
  #look(found: Found, left: number): Verdict | Promise<Verdict> {
    const resolved = this.#context.access.resolve(
      found.token,
      this.exchange.address,
      this.request.socket,
    );
    return resolved instanceof Promise
      ? resolved.then((grant) => this.#withGrant(grant, found, left))
      : this.#withGrant(resolved, found, left);
  }

  #withGrant(
    resolved: Grant | RefusalReason,
    found: Found,
    left: number,
  ): Verdict | Promise<Verdict> {
    if (typeof resolved === "string") return refuse(resolved);
    const { exchange } = this;
    const { route, canonicalPath } = found;
    this.grant = resolved;
    exchange.workspaceId = resolved.workspaceId;
    exchange.agentId = resolved.agentId;
    exchange.agent = resolved.agentName;
    exchange.deployment = resolved.deployment;
    if (this.#hasContext) {
      const context = readContext(this.request.rawHeaders);
      if (context === undefined) return refuse("bad_context");
      exchange.context = context;
    }
    const stranger = this.#context.access.admit(resolved, exchange.address);
    if (stranger !== undefined) return refuse(stranger);
    if (route.provider === "") return { kind: "own", path: route.path, grant: resolved };
    if (!exchange.providerIsBuiltIn) {
      const custom = resolved.customProviders.get(route.provider);
      if (custom === undefined) return refuse("unknown_provider");
      exchange.provider = custom.name;
      this.#target = customTarget(custom);
      // A slot of its own, known only now.
      if (carriesForeign(this.request.rawHeaders, custom.credential.header)) {
        return refuse("foreign_credential");
      }
    }
    const target = this.#target;
    if (target === undefined) return refuse("unknown_provider");
    this.#sensitiveEndpoint = sensitiveEndpoint(target.name, exchange.method, canonicalPath);
    const denied = this.#context.access.decide(resolved, {
      provider: target.name,
      method: exchange.method,
      path: canonicalPath,
      sensitiveEndpoint: this.#sensitiveEndpoint,
    });
    if (denied !== undefined) return refuse(denied);
    const secret = resolved.secrets.get(target.name);
    if (secret === undefined) return refuse("no_secret");
    if (secret.origin !== (target.origin ?? secret.origin)) return refuse("origin_changed");
    const { released } = secret;
    if (released === undefined) {
      if (left === 1) return refuse("store_unavailable");
      return this.#context.access
        .release(resolved, secret, exchange)
        .then((reason) => (reason === undefined ? this.#look(found, left - 1) : refuse(reason)));
    }
    const { models } = resolved.scope;
    if (models === undefined) return this.#inject(resolved, target, released, route, undefined);
    const model = checkModel({
      request: this.request,
      provider: target.name,
      route: { ...route, canonicalPath },
      allows: models,
    });
    return typeof model === "string"
      ? refuse(model)
      : this.#inject(resolved, target, released, route, model);
  }

  #inject(
    grant: Grant,
    target: Target,
    secret: ReleasedSecret,
    route: Route,
    bodyReader: BodyReader | undefined,
  ): Verdict {
    const { exchange, request } = this;
    exchange.secretId = secret.secretId;
    exchange.secretVersion = secret.version;
    const origin = target.origin ?? secret.origin;
    const raw = request.rawHeaders;
    const contentLength = fieldValue(raw, "content-length");
    let injection: Injection;
    try {
      injection = this.#context.vault.inject(secret, origin, target.credential);
      const { headers, injectedFrom, subprotocolScheme } = requestHeaders(
        raw,
        injection,
        request.httpVersion,
        contentLength,
      );
      const query = stripQuery(route.query);
      return {
        kind: "forward",
        grant,
        subprotocolScheme,
        plan: {
          origin,
          target: query === undefined ? route.path : `${route.path}?${query}`,
          headers,
          injectedFrom,
          contentLength: contentLength === undefined ? undefined : Number(contentLength),
          chunked: hasHeader(raw, "transfer-encoding"),
          bodyReader,
        },
      };
    } catch (error) {
      if (error instanceof SealError) return refuse("secret_unreadable");
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
