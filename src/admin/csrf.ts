// Against requests that another site has a signed-in browser send: where the browser says that the request comes from, and its Origin.
// Beside that, no other origin has the session's secret, and the cookie is SameSite.
import type { IncomingHttpHeaders } from "node:http";
import { RequestError } from "../errors.ts";

const SAFE_METHODS = new Set(["GET", "HEAD", "OPTIONS"]);

/** Whether a method changes nothing (RFC 9110, 9.2.1). */
export function isSafe(method: string): boolean {
  return SAFE_METHODS.has(method);
}

/** Throws RequestError 403 `csrf` when the browser says that another site's page is behind the request. */
export function refuseForeignSite(headers: IncomingHttpHeaders, dashboardUrl: string): void {
  const site = headers["sec-fetch-site"];
  if (site !== undefined && site !== "same-origin") throw refused();
  const { origin } = headers;
  if (origin !== undefined && !isOwnOrigin(origin, headers.host, dashboardUrl)) throw refused();
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
