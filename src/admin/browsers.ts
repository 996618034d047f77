// The session's cookie. Browsers send a cookie to every port of a host, so it is worth nothing without the session's secret. Over HTTPS
// it has the __Host- prefix (RFC 6265bis, 4.1.3): no other host and no plain HTTP can set it. Its name holds the port, so that two
// services on one machine don't sign out each other's users.
import type { IncomingHttpHeaders } from "node:http";
import { RequestError } from "../platform/errors.ts";

export interface SessionCookie {
  readonly name: string;
  /** The value in a Cookie header. Undefined if there is none, or several: another page may have set one of them. */
  read(header: string | undefined): string | undefined;
  /** The Set-Cookie value that sets it. */
  set(value: string): string;
  /** The Set-Cookie value that removes it. */
  clear(): string;
}

/** `dashboardUrl`: how browsers reach us. */
export function createSessionCookie(dashboardUrl: string): SessionCookie {
  const { protocol, port } = new URL(dashboardUrl);
  const secure = protocol === "https:";
  const name = `${secure ? "__Host-" : ""}x3sproxy-${port || (secure ? 443 : 80)}`;
  const attributes = `Path=/; HttpOnly; SameSite=Strict${secure ? "; Secure" : ""}`;
  return {
    name,
    read(header = "") {
      const found = header
        .split(";")
        .map((pair) => pair.trim())
        .filter((pair) => pair.startsWith(`${name}=`));
      return found.length === 1 ? found[0]?.slice(name.length + 1) : undefined;
    },
    set: (value) => `${name}=${value}; ${attributes}`,
    clear: () => `${name}=; ${attributes}; Max-Age=0`,
  };
}

// Cross-site request forgery: compare Sec-Fetch-Site and Origin with our own origin. Besides, no other origin knows the session's secret,
// and the cookie is SameSite.

const SAFE_METHODS = new Set(["GET", "HEAD", "OPTIONS"]);

/** Whether a method changes nothing (RFC 9110, 9.2.1). */
export function isSafe(method: string): boolean {
  return SAFE_METHODS.has(method);
}

/** Throws RequestError 403 `csrf` if the browser says that a page of another site sent the request. */
export function refuseForeignSite(headers: IncomingHttpHeaders, dashboardUrl: string): void {
  const site = headers["sec-fetch-site"];
  if (site !== undefined && site !== "same-origin") throw refused();
  const { origin } = headers;
  if (origin !== undefined && !isOwnOrigin(origin, headers.host, dashboardUrl)) throw refused();
}

/** The dashboard's origin, or that of the request's Host, which has been checked before. */
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
