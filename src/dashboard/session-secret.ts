// Values that only this origin stores in this browser: the session's secret, without which its cookie is worth nothing (browsers send cookies
// to every port of a host); and the value by which the service recognises this browser. Must never go to another origin, a URL or a cookie.

const SECRET = "x3sproxy-session";
const DEVICE = "x3sproxy-device";

/** Shared by all tabs. */
export interface SessionSecret {
  get(): string | undefined;
  set(secret: string): void;
  remove(): void;
}

// If the storage is full or disabled, keep the value for this page only.
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
      // Without a storage there is no stored value.
    }
  },
};

/** 32 random bytes in base64url, made once. Sent with each sign-in, so that other clients' failures don't delay this browser. */
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
