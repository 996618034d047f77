// Where the admin side listens for the command line of its own machine: a Unix socket in the data folder. Whoever can put one there can
// read the folder's key anyway, so that nobody else ever gets it, whoever has a port meanwhile.
import { rm } from "node:fs/promises";
import { connect } from "node:net";
import { join, relative } from "node:path";

/** Of the key that goes over it, in the data folder. */
export const OWNER_KEY_FILE = "admin-api-key";

/** By it the command line says which port it was told of; another one is another service's. */
export const EXPECTED_PORT_HEADER = "x3sproxy-expected-port";

// Of sockaddr_un, without the NUL at its end.
const MAX_PATH_BYTES = process.platform === "linux" ? 107 : 103;

/** The socket's path, as this process can give it to the system; undefined when the folder's own is too long for that. */
export function adminSocketPath(dataDir: string): string | undefined {
  const path = join(dataDir, "admin.sock");
  if (fits(path)) return path;
  const fromHere = relative(process.cwd(), path);
  return fits(fromHere) ? fromHere : undefined;
}

function fits(path: string): boolean {
  return Buffer.byteLength(path) <= MAX_PATH_BYTES;
}

/** Removes what a service has left that was killed, if it can. One that listens keeps its own. */
export async function removeStaleSocket(dataDir: string): Promise<void> {
  const path = adminSocketPath(dataDir);
  if (path === undefined) return;
  const refusal = await new Promise<string | undefined>((resolve) => {
    const socket = connect({ path }, () => {
      socket.destroy();
      resolve(undefined);
    });
    socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code));
  });
  // What stays is told of when it is listened there.
  if (refusal === "ECONNREFUSED") await rm(path, { force: true }).catch(() => undefined);
}
