// The data plane's own endpoint /_x3sproxy/token: tells an agent what its token may do.
import type { ServerResponse } from "node:http";
import type { Grant } from "../grants/index.ts";
import { builtInProviders } from "../providers/index.ts";

/** Answers; false when there is no endpoint of ours at this path and method. */
export function answerOwn(
  response: ServerResponse,
  method: string,
  path: string,
  grant: Grant,
): boolean {
  if (path !== "/_x3sproxy/token" || (method !== "GET" && method !== "HEAD")) return false;
  sendJson(response, 200, describeGrant(grant));
  return true;
}

/** Answers with JSON that must not be cached. */
export function sendJson(response: ServerResponse, status: number, document: object): void {
  const body = JSON.stringify(document);
  response.writeHead(status, [
    "content-type",
    "application/json",
    "cache-control",
    "no-store",
    "content-length",
    String(Buffer.byteLength(body)),
  ]);
  response.end(body);
}

function describeGrant(grant: Grant): object {
  const { scope, limits } = grant;
  const { fields } = scope;
  const callable = (name: string): boolean =>
    (scope.providers?.has(name) ?? true) &&
    (builtInProviders.has(name) || grant.customProviders.has(name));
  return {
    agent: grant.agentName,
    environment: grant.environment,
    deployment: grant.deployment,
    expiresAt: timeOf(grant.expiresAtMs),
    /** null, here and below: no limit. */
    providers: fields.providers && [...fields.providers].sort(),
    /** The providers that can be called now, since a key is configured. */
    configuredProviders: [...grant.secrets.keys()].filter(callable).sort(),
    rules: fields.rules,
    allowedEndpoints: [...fields.allowedEndpoints].sort(),
    addresses: fields.addresses,
    models: fields.models,
    scopeExpiresAt: timeOf(scope.endsAtMs),
    limits,
  };
}

export function timeOf(ms: number | undefined): string | null {
  return ms === undefined ? null : new Date(ms).toISOString();
}
