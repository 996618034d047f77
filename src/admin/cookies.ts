// The session's cookie. Browsers send it to every port of a host, so that it is worth nothing without the session's secret. Over https it
// has the __Host- prefix (RFC 6265bis, 4.1.3), so that no neighbouring host and no plain http can set it. Its name holds the port, so
// that two services on one machine don't sign each other's people out.

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
