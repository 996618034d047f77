// What this origin alone keeps in this browser: the secret without which a session's cookie is worth nothing, since browsers send
// cookies to every port of a host; and what the service knows this browser by. Must never go to another origin, into a URL or a cookie.

const SECRET = "x3sproxy-session";
const DEVICE = "x3sproxy-device";

/** Shared by all tabs. */
export interface SessionSecret {
  get(): string | undefined;
  set(secret: string): void;
  remove(): void;
}

// In place of a storage that is full or switched off: it holds for this page, then.
const ofThisPage = new Map<string, string>();

function read(key: string): string | undefined {
  const held = ofThisPage.get(key);
  if (held !== undefined) return held;
  try {
    return localStorage.getItem(key) ?? undefined;
  } catch {
    return undefined;
  }
}

function write(key: string, value: string): void {
  try {
    localStorage.setItem(key, value);
    ofThisPage.delete(key);
  } catch {
    ofThisPage.set(key, value);
  }
}

export const browserSecret: SessionSecret = {
  get: () => read(SECRET),
  set: (secret) => write(SECRET, secret),
  remove() {
    ofThisPage.delete(SECRET);
    try {
      localStorage.removeItem(SECRET);
    } catch {
      // Then there is none in it.
    }
  },
};

/** 32 random bytes in base64url, made once: sent with each sign-in, so that what strangers try does not hold this browser up. */
export function deviceName(): string {
  const kept = read(DEVICE);
  if (kept !== undefined && /^[A-Za-z0-9_-]{43}$/.test(kept)) return kept;
  const bytes = crypto.getRandomValues(new Uint8Array(32));
  const made = btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replace(/=+$/, "");
  write(DEVICE, made);
  return made;
}
