// Connections to the upstreams: pools of keep-alive sockets, TLS that is always verified, the address rule, and the operator's forward
// proxy. Follows no redirects and decodes nothing.
import { isIP } from "node:net";
import { LRUCache } from "lru-cache";
import { buildConnector, Client, type Dispatcher } from "undici";
import type { Clock } from "../platform/clock.ts";
import type { Config } from "../platform/config.ts";
import { connectionBounds } from "../platform/connection-bounds.ts";
import { codeOf } from "../platform/unknown-values.ts";
import { AddressRefusedError, type AddressRule } from "./address-rule.ts";
import { createForwardProxy } from "./forward-proxy.ts";
import { IdleConnections, KEEP_ALIVE_MS } from "./idle-connections.ts";
import { UpstreamSocket } from "./upstream-socket.ts";

const MAX_HEADER_BYTES = 64 * 1024;
// The connections to a forgotten origin end by their idle timeout.
const MAX_ORIGINS = 1000;

/** A dispatch handler that knows its connection. */
export type UpstreamHandler = Dispatcher.DispatchHandler & { connection: Connection | undefined };

export interface Upstreams {
  /** Sends a request; failures reach the handler. `origin` is a normalised origin. */
  dispatch(
    origin: string,
    options: Omit<Dispatcher.DispatchOptions, "origin">,
    handler: UpstreamHandler,
  ): void;
  /** Ends every connection at once. */
  destroy(): Promise<void>;
}

type Options = Pick<Config, "deadlines" | "upstreamProxy"> & {
  readonly rule: AddressRule;
  readonly clock: Clock;
};

/**
 * Makes the pools: for each origin, a stack of idle connections with the last used on top. undici's Agent and Pool cost more. Throws
 * ConfigError when the forward proxy's URL can't be used.
 */
export function createUpstreams(o: Options): Upstreams {
  const options: Client.Options = {
    pipelining: 1,
    allowH2: false,
    headersTimeout: 0, // our deadlines also cover an upload that has just ended, and a paused answer
    bodyTimeout: 0,
    // Less when an upstream's Keep-Alive says so: undici reads it, with a margin of 2 s.
    keepAliveTimeout: KEEP_ALIVE_MS,
    keepAliveMaxTimeout: KEEP_ALIVE_MS,
    maxHeaderSize: MAX_HEADER_BYTES,
  };
  const connect = createConnector(o);
  const all = new Set<Connection>();
  const idleOf = new LRUCache<string, IdleConnections<Connection>>({ max: MAX_ORIGINS });
  // At most as many as clients may have. Each client has one call, so above that some are idle.
  const { proxy: most } = connectionBounds();
  return {
    dispatch(origin, request, handler) {
      let idle = idleOf.get(origin);
      if (idle === undefined) idleOf.set(origin, (idle = new IdleConnections(o.clock)));
      let connection = idle.pop();
      if (connection === undefined) {
        if (all.size >= most) endOldestIdle(idleOf);
        connection = new Connection(origin, options, connect, idle, all);
        all.add(connection);
      }
      connection.take(request, handler);
    },
    async destroy() {
      await Promise.all(Array.from(all, (connection) => connection.destroy()));
    },
  };
}

/** Ends the oldest idle connection of the origin that was called longest ago. */
function endOldestIdle(idleOf: LRUCache<string, IdleConnections<Connection>>): void {
  for (const idle of idleOf.rvalues()) if (idle?.endOldest() === true) return;
}

/** One connection, with one request at a time. */
export class Connection extends Client {
  /** Undefined while it isn't connected. */
  socket: UpstreamSocket | undefined;
  /** Answers that have begun on this socket; more than 0: it is reused. */
  answers = 0;
  /** Set by IdleConnections: when it became idle, and how long it was idle last. */
  idleSinceMs = 0;
  idleMs = 0;
  readonly #idle: IdleConnections<Connection>;
  readonly #all: Set<Connection>;
  #isIdle = false;

  constructor(
    origin: string,
    options: Client.Options,
    connect: buildConnector.connector,
    idle: IdleConnections<Connection>,
    all: Set<Connection>,
  ) {
    super(origin, {
      ...options,
      connect: (to, callback) => {
        connect(to, (error, socket) => {
          if (error !== null) {
            callback(error, null);
            return;
          }
          this.socket = new UpstreamSocket(socket);
          this.answers = 0;
          callback(null, socket);
        });
      },
    });
    this.#idle = idle;
    this.#all = all;
    this.on("drain", () => this.#release());
    this.on("disconnect", (_origin, _clients, error: Error) => this.#disconnected(error));
  }

  take(request: Dispatcher.DispatchOptions, handler: UpstreamHandler): void {
    this.#isIdle = false;
    this.socket?.expectAnswer();
    handler.connection = this;
    this.dispatch(request, handler);
    if (this.stats.size === 0) this.#release(); // undici refused to send it
  }

  /** Ends it; it must be idle. */
  end(): void {
    this.#isIdle = false;
    this.#all.delete(this);
    this.socket?.socket.destroy();
  }

  #release(): void {
    if (this.#isIdle) return;
    if (this.socket === undefined) {
      this.#all.delete(this);
    } else {
      this.#isIdle = true;
      this.#idle.push(this);
    }
  }

  #disconnected(error: Error): void {
    const { socket } = this;
    this.socket = undefined;
    const byUs = codeOf(error) === "UND_ERR_INFO";
    if (this.#isIdle) {
      this.#idle.remove(this, byUs);
      this.#all.delete(this);
    } else if (!byUs && this.answers > 0 && socket?.heard === false) {
      this.#idle.closedAfter(this.idleMs); // the upstream closed it as a request went up
    }
  }
}

/** Connects where the address rule allows it. `deadlines.connectMs` covers DNS, TCP and TLS; a tunnel has the same time again. */
function createConnector({ rule, deadlines, upstreamProxy }: Options): buildConnector.connector {
  const timeout = deadlines.connectMs;
  const base = { timeout, allowH2: false };
  const overTls = buildConnector({
    ...base,
    minVersion: "TLSv1.2",
    rejectUnauthorized: true,
    lookup: rule.lookup("https:"),
  });
  const plain = buildConnector({ ...base, lookup: rule.lookup("http:") });
  const proxy = createForwardProxy(upstreamProxy, timeout);
  return (to, callback) => {
    const protocol = to.protocol === "http:" ? "http:" : "https:";
    const host = to.hostname.replace(/^\[|\]$/g, "");
    if (isIP(host) !== 0 && !rule.allows(host, protocol)) {
      queueMicrotask(() => callback(new AddressRefusedError(), null));
      return;
    }
    const port = Number(to.port || "443");
    if (protocol === "http:") plain(to, callback);
    else if (proxy?.covers(host, port) !== true) overTls(to, callback);
    else {
      // The forward proxy resolves the name, so only a literal address can be judged here.
      proxy.tunnel(host, port, (error, httpSocket) => {
        if (httpSocket === undefined) callback(error ?? new Error("no tunnel"), null);
        else overTls({ ...to, httpSocket }, callback);
      });
    }
  };
}
