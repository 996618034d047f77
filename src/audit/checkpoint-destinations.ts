// Two of the places that checkpoints are sent to: a file, and a URL.
import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { Agent, request } from "undici";

/** Where checkpoints go. */
export interface Destination {
  readonly name: "file" | "url" | "syslog";
  /** Rejects when it can't be known that they have arrived; with some in place already they may come again. */
  send(notes: readonly string[], signal: AbortSignal): Promise<void>;
}

const WITHIN_MS = 10_000;
const { O_APPEND, O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_WRONLY } = constants;
// A pipe that nobody reads would else hold up whoever opens it, and the service's end with it.
const FLAGS = O_APPEND | O_CREAT | O_WRONLY | O_NOFOLLOW | O_NONBLOCK;

/**
 * Appends each to a file of our own (0600), and waits until the disk has it. An empty line comes first, so that what a failure left half
 * written spoils none that follows.
 */
export function fileDestination(path: string): Destination {
  return {
    name: "file",
    async send(notes) {
      const file = await open(path, FLAGS, 0o600);
      try {
        await file.writeFile(notes.map((note) => `\n${note}`).join(""));
        await file.sync();
      } finally {
        await file.close();
      }
    },
  };
}

/** The server refused it: which status, in the code. */
class RefusedError extends Error {
  override name = "RefusedError";
  readonly code: string;

  constructor(status: number) {
    super("the checkpoint was refused");
    this.code = `HTTP_${status}`;
  }
}

/** POSTs each as text/plain. A certificate is always verified, a redirect never followed. */
export function urlDestination(text: string): Destination {
  const url = new URL(text);
  const { username, password } = url;
  const user = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  const authorization = `Basic ${Buffer.from(user, "utf8").toString("base64")}`;
  url.username = "";
  url.password = "";
  return {
    name: "url",
    async send(notes, signal) {
      const dispatcher = new Agent({
        connect: { timeout: WITHIN_MS, rejectUnauthorized: true },
        allowH2: false,
      });
      try {
        for (const note of notes) {
          const { statusCode, body } = await request(url, {
            method: "POST",
            headers: {
              "content-type": "text/plain; charset=utf-8",
              ...(user !== ":" && { authorization }),
            },
            body: note,
            dispatcher,
            signal: AbortSignal.any([signal, AbortSignal.timeout(WITHIN_MS)]),
          });
          await body.dump();
          if (statusCode < 200 || statusCode > 299) throw new RefusedError(statusCode);
        }
      } finally {
        await dispatcher.destroy();
      }
    },
  };
}
