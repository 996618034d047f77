// The service of the data folder, and the owner's API key in that folder. Must send that key only over the socket in the same folder: while
// the service is down, another program may have its port.
import { lstat, stat } from "node:fs/promises";
import { join } from "node:path";
import { adminSocketPath, EXPECTED_PORT_HEADER, OWNER_KEY_FILE } from "../platform/admin-socket.ts";
import { readSmallFile } from "../platform/bounded-file.ts";
import type { ClientConfig } from "../platform/config.ts";
import { Failure } from "./failure.ts";

const WRITABLE_BY_OTHERS = 0o022;
const ROOT = 0;

/** The part of fetch's options that calls of the admin API need. */
export interface Call {
  readonly method: string;
  readonly headers: Record<string, string>;
  readonly body?: string;
  readonly signal: AbortSignal;
}

/** The part of its answer. */
export interface Answer {
  readonly ok: boolean;
  readonly status: number;
  readonly headers: { get(name: string): string | null };
  readonly body: AsyncIterable<Uint8Array> | null;
  text(): Promise<string>;
}

/** The admin API's place, and the API key for it. */
export interface Service {
  readonly apiKey: string;
  /** Its name in messages: its URL, or whose service it is. */
  readonly name: string;
  /** What to check if it doesn't answer: a sentence. */
  readonly hint: string;
  /** Rejects as fetch does. Follows no redirect. */
  fetch(path: string, call: Call): Promise<Answer>;
}

/** The data folder's service. Throws Failure if there is no key, or the key may not be sent. */
export async function ownService({ dataDir, adminUrl }: ClientConfig): Promise<Service> {
  if (adminUrl.given && !isThisMachine(adminUrl.url)) {
    throw new Failure(
      "no_api_key",
      `No API key for ${adminUrl.url}: set X3SPROXY_API_KEY. The key in ${dataDir} is sent to the service of that folder alone.`,
    );
  }
  const keyFile = join(dataDir, OWNER_KEY_FILE);
  const apiKey = await readSmallFile(keyFile).then(String, () => "");
  if (apiKey.trim() === "") {
    throw new Failure("no_api_key", `No API key. ${whereKeysComeFrom(dataDir)}`);
  }
  const path = adminSocketPath(dataDir);
  const why =
    path === undefined
      ? "its path is too long for a socket: run this in the service's folder"
      : await whyNotSafe(dataDir, keyFile);
  if (path === undefined || why !== undefined) {
    throw new Failure(
      "folder_refused",
      `The key in ${dataDir} can't be sent safely, since ${why}; or set X3SPROXY_API_KEY.`,
    );
  }
  // Imported here, since commands with an API key don't need it.
  const { Agent, fetch } = await import("undici");
  const dispatcher = new Agent({ connect: { socketPath: path }, pipelining: 0 });
  const expected = adminUrl.given ? { [EXPECTED_PORT_HEADER]: portOf(adminUrl.url) } : {};
  return {
    apiKey: apiKey.trim(),
    name: `the service of ${dataDir}`,
    hint: "If it is elsewhere: X3SPROXY_ADMIN_URL=https://… names it, and X3SPROXY_API_KEY is the key for it.",
    async fetch(at, { headers, ...call }) {
      const answer = await fetch(`http://localhost${at}`, {
        ...call,
        headers: { ...headers, ...expected },
        redirect: "manual",
        dispatcher,
      });
      if (answer.status !== 421) return answer;
      throw new Failure(
        "no_api_key",
        `${adminUrl.url} is not the service of ${dataDir}: set X3SPROXY_API_KEY for it, or leave out X3SPROXY_ADMIN_URL.`,
      );
    },
  };
}

/** Why another user may be listening in the folder. Undefined: nobody else can. */
async function whyNotSafe(dataDir: string, keyFile: string): Promise<string | undefined> {
  const [folder, key] = await Promise.all([stat(dataDir), lstat(keyFile)]);
  if ((folder.mode & WRITABLE_BY_OTHERS) !== 0) {
    return `others may write to it: chmod 700 ${dataDir}`;
  }
  if (key.isFile() && [key.uid, ROOT].includes(folder.uid)) return undefined;
  return `${OWNER_KEY_FILE} there is a link, or of another user than the folder: set X3SPROXY_DATA_DIR to the service's own folder`;
}

/** What to do about a missing or refused key. */
export function whereKeysComeFrom(dataDir: string): string {
  return (
    `On the service's machine its key is read from ${dataDir}/${OWNER_KEY_FILE}\n` +
    "(run this in the service's folder, or set X3SPROXY_DATA_DIR); elsewhere set X3SPROXY_API_KEY."
  );
}

function isThisMachine(url: string): boolean {
  return /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/.test(new URL(url).hostname);
}

function portOf(url: string): string {
  const { port, protocol } = new URL(url);
  return port || (protocol === "https:" ? "443" : "80");
}
