// A pool over a link that a test can make slow, with a short deadline then: what a call does is given up in the middle of it.
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { createPool, type Pool } from "../../src/db/index.ts";

/** So many round trips are over when a call is given up: of a transaction its beginning and one statement at the most. */
const DELAY_MS = 300;
const DEADLINE_MS = 800;
const CONNECTIONS = 40;

export interface HurriedPool extends Pool {
  /** From now on each answer of the server comes 300 ms late, and calls are given up after 800. */
  hurry(): Promise<void>;
  /** Waits until nothing of what was given up is under way, and goes on as any other pool. */
  relax(): Promise<void>;
}

/** `url`: of a TCP server. */
export function createHurriedPool(url: string): HurriedPool {
  const patient = createPool(url);
  let isSlow = false;
  let current: Pool = patient;
  let close: () => Promise<void> = () => Promise.resolve();

  async function openLink(): Promise<string> {
    const target = new URL(url);
    const sockets = new Set<Socket>();
    const server = createServer((client) => {
      const upstream = connect(Number(target.port), target.hostname);
      for (const [from, to] of [
        [client, upstream],
        [upstream, client],
      ] as const) {
        sockets.add(from);
        from.setNoDelay(true).on("close", () => {
          sockets.delete(from);
          to.destroy();
        });
        from.on("error", () => to.destroy());
        from.on("data", (chunk) => {
          const pass = (): void => void to.write(chunk);
          if (isSlow && from === upstream) setTimeout(pass, DELAY_MS);
          else pass();
        });
      }
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    close = async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    };
    return Object.assign(new URL(url), { port: String(port) }).href;
  }

  return {
    query: (fn) => current.query(fn),
    transaction: (fn) => current.transaction(fn),
    inWorkspace: (workspaceId, fn) => current.inWorkspace(workspaceId, fn),
    async hurry() {
      const hurried = createPool(await openLink(), { max: CONNECTIONS, deadlineMs: DEADLINE_MS });
      // Connecting would take all the time that there is.
      const connected = async (): Promise<boolean> => {
        const pids = await Promise.all(
          Array.from({ length: CONNECTIONS }, () =>
            hurried.query(
              (sql) => sql<{ pid: number }[]>`select pg_backend_pid() as pid, pg_sleep(0.1)`,
            ),
          ),
        ).catch(() => []);
        return new Set(pids.map(([row]) => row?.pid)).size === CONNECTIONS;
      };
      while (!(await connected()));
      isSlow = true;
      current = hurried;
    },
    async relax() {
      isSlow = false;
      const hurried = current;
      current = patient;
      for (;;) {
        const busy = await patient.query(
          (sql) => sql`
            select from pg_stat_activity
            where datname = current_database() and usename = current_user and backend_type = 'client backend'
              and pid <> pg_backend_pid() and state <> 'idle'`,
        );
        if (busy.length === 0) break;
      }
      await hurried.close();
      await close();
    },
    close: () => patient.close(),
  };
}
