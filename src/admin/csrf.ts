// Against requests that another site has a signed-in browser send. Three checks, of which the cookie's SameSite is a fourth: where
// the browser says that the request comes from, its Origin, and a token that only our own pages can read.
import { createHmac, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { RequestError } from "../errors.ts";

const SAFE_METHODS = new Set(["GET", "HEAD", "OPTIONS"]);

/** Whether a method changes nothing (RFC 9110, 9.2.1). */
export function isSafe(method: string): boolean {
  return SAFE_METHODS.has(method);
}

/** The token of a session, from its value, one way: nothing has to be kept. */
export function csrfTokenOf(sessionValue: string): string {
  return createHmac("sha256", sessionValue).update("x3sproxy csrf token v1").digest("base64url");
}

/** Throws RequestError 403 `csrf` when the browser says that another site's page is behind the request. */
export function refuseForeignSite(headers: IncomingHttpHeaders, dashboardUrl: string): void {
  const site = headers["sec-fetch-site"];
  if (site !== undefined && site !== "same-origin") throw refused();
  const { origin } = headers;
  if (origin !== undefined && !isOwnOrigin(origin, headers.host, dashboardUrl)) throw refused();
}

/** Throws RequestError 403 `csrf` when the token is not the session's. */
export function checkCsrfToken(headers: IncomingHttpHeaders, sessionValue: string): void {
  const given = Buffer.from(String(headers["x-csrf-token"] ?? ""));
  const expected = Buffer.from(csrfTokenOf(sessionValue));
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) throw refused();
}

/** The dashboard's own, or the one of the host that was asked for, which is one of ours by then. */
function isOwnOrigin(text: string, host: string | undefined, dashboardUrl: string): boolean {
  const dashboard = new URL(dashboardUrl);
  const origin = URL.parse(text);
  if (origin === null || origin.origin !== text.toLowerCase()) return false;
  if (origin.host === dashboard.host) return origin.origin === dashboard.origin;
  return /^https?:$/.test(origin.protocol) && origin.host === host?.toLowerCase();
}

function refused(): RequestError {
  return new RequestError(
    403,
    "csrf",
    "This does not come from a page of this service. Load the page anew and try again.",
  );
}
