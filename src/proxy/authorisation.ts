// Whether a grant allows a request, and the request that goes upstream for it. Judges the request as it was rewritten. Must never open a key
// for a refused call.
import type { Grants, Grant } from "../grants/index.ts";
import { SealError, type RefusalReason } from "../platform/errors.ts";
import { mayCarryKey, sensitiveEndpoint } from "../providers/index.ts";
import type { HeldSecret, ReleasedSecret, Vault } from "../vault/index.ts";
import type { Call, Target } from "./call.ts";
import { readContext } from "./context.ts";
import { carriesForeign, stripQuery } from "./credential-slots.ts";
import { rewriteRequest, withoutField } from "./headers.ts";
import { checkModel } from "./model-check.ts";
import type { BodyReader } from "./model-judge.ts";
import { refusalFor, unlessRefused } from "./refusal.ts";
import type { CanonicalRoute } from "./route.ts";

/** A request that its grant allows, as far as its head tells. The reader still has to judge the model in the body. */
export interface Authorised {
  readonly target: Target;
  readonly secret: HeldSecret;
  /** Path and query as they go up. */
  readonly requestTarget: string;
  /** Without a credential. */
  readonly headers: readonly string[];
  /** The scheme name of a credential that stood among the WebSocket subprotocols, if one did. */
  readonly subprotocolScheme: string | undefined;
  /** Must pass the body before its last part goes up. For one body only. */
  readonly bodyReader: BodyReader | undefined;
}

/** The request that goes upstream. It holds the key: send it in the same turn of the event loop, and then forget it. */
export interface UpstreamRequest {
  readonly origin: string;
  /** Path and query, raw. */
  readonly target: string;
  readonly headers: string[];
  /** Where in them the credential begins. */
  readonly injectedFrom: number;
  readonly subprotocolScheme: string | undefined;
  readonly bodyReader: BodyReader | undefined;
}

/** Gives a call the grant that its token resolved to. Throws Refusal if there is none, or it may not be used at all. */
export function admitGrant(
  grants: Pick<Grants, "admit">,
  call: Call,
  resolved: Grant | RefusalReason,
): Grant {
  const grant = unlessRefused(resolved);
  const { exchange, request } = call;
  call.noteGrant(grant);
  if (call.hasContext) {
    exchange.context = readContext(request.rawHeaders);
    if (exchange.context === undefined) throw refusalFor("bad_context");
  }
  const denied = grants.admit(grant, exchange.address);
  if (denied !== undefined) throw refusalFor(denied);
  return grant;
}

/** Checks that the grant allows the call. Opens no key. Throws Refusal. */
export function authorise(
  grants: Pick<Grants, "decide">,
  call: Call,
  grant: Grant,
  route: CanonicalRoute,
): Authorised {
  const { exchange, request } = call;
  const { canonicalPath } = route;
  const target = findTarget(call, grant, route);
  call.sensitiveEndpoint = sensitiveEndpoint(target.name, exchange.method, canonicalPath);
  const denied = grants.decide(grant, {
    provider: target.name,
    method: exchange.method,
    path: canonicalPath,
    sensitiveEndpoint: call.sensitiveEndpoint,
  });
  if (denied !== undefined) throw refusalFor(denied);
  const secret = findSecret(grant, target);
  const { headers, subprotocolScheme } = rewriteRequest(request.rawHeaders, {
    slot: secret.header,
    httpVersion: request.httpVersion,
    contentLength: call.lengthText,
  });
  const query = stripQuery(route.query);
  const { models } = grant.scope;
  const bodyReader =
    models &&
    unlessRefused(
      checkModel({
        provider: target.name,
        method: exchange.method,
        isWebSocket: exchange.websocket,
        path: route.path,
        canonicalPath,
        query,
        headers,
        hasBody: call.isChunked || (call.contentLength ?? 0) > 0,
        allows: models,
      }),
    );
  return {
    target,
    secret,
    requestTarget: query === undefined ? route.path : `${route.path}?${query}`,
    // Messages are read as they come, so they must not be compressed.
    headers:
      exchange.websocket && bodyReader !== undefined
        ? withoutField(headers, "sec-websocket-extensions")
        : headers,
    subprotocolScheme,
    bodyReader,
  };
}

/** Reads a whole body past the call's reader. Throws Refusal. */
export function judgeBody({ bodyReader }: Authorised, body: Buffer): void {
  const refusal = bodyReader?.take(body) ?? bodyReader?.end();
  if (refusal !== undefined) throw refusalFor(refusal);
}

/** Opens the key and sets it on the request. Throws Refusal if it can't be opened. */
export function inject(
  vault: Pick<Vault, "inject">,
  { exchange }: Call,
  authorised: Authorised,
  released: ReleasedSecret,
): UpstreamRequest {
  const { target, requestTarget, subprotocolScheme, bodyReader } = authorised;
  exchange.secretId = released.secretId;
  exchange.secretVersion = released.version;
  const origin = target.origin ?? released.origin;
  const headers = authorised.headers.slice();
  const injectedFrom = headers.length;
  try {
    vault.inject(released, origin).applyTo(headers);
  } catch (error) {
    if (error instanceof SealError) throw refusalFor("secret_unreadable");
    throw error;
  }
  return { origin, target: requestTarget, headers, injectedFrom, subprotocolScheme, bodyReader };
}

function findTarget(call: Call, grant: Grant, route: CanonicalRoute): Target {
  if (call.exchange.providerIsBuiltIn && call.target !== undefined) return call.target;
  const custom = grant.customProviders.get(route.provider);
  if (custom === undefined) throw refusalFor("unknown_provider");
  const target = call.noteCustomProvider(custom);
  // A custom provider's header is known only now: a foreign key may stand in it.
  if (carriesForeign(call.request.rawHeaders, custom.credential.header)) {
    throw refusalFor("foreign_credential");
  }
  return target;
}

/** The grant's secret for this provider, if it was sealed for this very origin, header and scheme. */
function findSecret(grant: Grant, { name, origin, credential }: Target): HeldSecret {
  const secret = grant.secrets.get(name);
  if (secret === undefined) throw refusalFor("no_secret");
  if (secret.origin !== (origin ?? secret.origin)) throw refusalFor("origin_changed");
  if (credential !== undefined) {
    if (!mayCarryKey(credential.header)) throw refusalFor("header_refused");
    if (secret.header !== credential.header || secret.scheme !== credential.scheme) {
      throw refusalFor("header_changed");
    }
  }
  return secret;
}
