// The session's cookie. Browsers send it to every port of a host, so that it is worth nothing without the session's secret. Over https it
// has the __Host- prefix (RFC 6265bis, 4.1.3), so that no neighbouring host and no plain http can set it. Its name holds the port, so
// that two services on one machine don't sign each other's people out.
import type { IncomingHttpHeaders } from "node:http";
import { RequestError } from "../platform/errors.ts";

export interface SessionCookie {
  readonly name: string;
  /** The value that a Cookie header carries; undefined for none, and for several, of which one would be a stranger's. */
  read(header: string | undefined): string | undefined;
  /** Set-Cookie for a session's value. */
  set(value: string): string;
  /** Set-Cookie that removes it. */
  clear(): string;
}

/** `dashboardUrl`: as browsers reach us. */
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

// Against requests that another site has a signed-in browser send: where the browser says that the request comes from, and its Origin.
// Beside that, no other origin has the session's secret, and the cookie is SameSite.

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
