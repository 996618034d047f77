// The Unix socket in the data folder, on which the admin side listens for the command line of its own machine. Only somebody who can read
// the folder's API key can put a socket there, so the command line never sends that key to another program that took the TCP port.
import { rm } from "node:fs/promises";
import { connect } from "node:net";
import { join, relative } from "node:path";

/** The file of the owner's API key, in the data folder. */
export const OWNER_KEY_FILE = "admin-api-key";

/** The header in which the command line names the port that it was told. With another port it means another service. */
export const EXPECTED_PORT_HEADER = "x3sproxy-expected-port";

// The length of sockaddr_un's path, without the final NUL.
const MAX_PATH_BYTES = process.platform === "linux" ? 107 : 103;

/** The socket's path for a system call of this process. Undefined if the folder's path is too long. */
export function adminSocketPath(dataDir: string): string | undefined {
  const path = join(dataDir, "admin.sock");
  if (fits(path)) return path;
  const fromHere = relative(process.cwd(), path);
  return fits(fromHere) ? fromHere : undefined;
}

function fits(path: string): boolean {
  return Buffer.byteLength(path) <= MAX_PATH_BYTES;
}

/** Removes the socket of a service that was killed. A service that listens keeps its socket. */
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
  // If it stays, listening fails, and the log says so.
  if (refusal === "ECONNREFUSED") await rm(path, { force: true }).catch(() => undefined);
}
