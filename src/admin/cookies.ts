// The session's cookie. Over https it has the __Host- prefix (RFC 6265bis, 4.1.3), so that no neighbouring host and no plain http can
// set it; on loopback http it has a plain name.

const NAME = "x3sproxy";

export interface SessionCookie {
  /** The value that a Cookie header carries; undefined for none, and for several, of which one would be a stranger's. */
  read(header: string | undefined): string | undefined;
  /** Set-Cookie for a session's value. */
  set(value: string): string;
  /** Set-Cookie that removes it. */
  clear(): string;
}

/** `secure`: whether browsers reach us by https. */
export function createSessionCookie({ secure }: { secure: boolean }): SessionCookie {
  const name = secure ? `__Host-${NAME}` : NAME;
  const attributes = `Path=/; HttpOnly; SameSite=Strict${secure ? "; Secure" : ""}`;
  return {
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
