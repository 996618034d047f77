// Connections to the upstreams: pools of keep-alive sockets, TLS that is always verified, the address rule at the moment of
// connecting, and the operator's forward proxy. Follows no redirect and decodes nothing.
import { isIP, type Socket } from "node:net";
import { buildConnector, Client, type Dispatcher } from "undici";
import type { Config } from "../config.ts";
import { connectionBounds } from "../connection-bounds.ts";
import { AddressRefusedError, type AddressRule } from "./address-rule.ts";
import { createForwardProxy } from "./forward-proxy.ts";

// Idle sockets are kept for less than the 60 s after which common load balancers drop theirs.
const KEEP_ALIVE_MS = 50_000;
const MAX_HEADER_BYTES = 64 * 1024;

/** A dispatch handler that learns which connection it is on. */
export type UpstreamHandler = Dispatcher.DispatchHandler & { connection: Connection | undefined };

export interface Upstreams {
  /** Sends a request; failures reach the handler. `origin` is a normalised origin. */
  dispatch(
    origin: string,
    options: Omit<Dispatcher.DispatchOptions, "origin">,
    handler: UpstreamHandler,
  ): void;
  /** Cuts every connection. */
  destroy(): Promise<void>;
}

type Options = Pick<Config, "deadlines" | "upstreamProxy"> & { readonly rule: AddressRule };

/**
 * Makes the pools: for each origin a stack of connections that have nothing to do, the last used on top. undici's own Agent and
 * Pool do the same for more. Throws ConfigError when the forward proxy's URL can't be used.
 */
export function createUpstreams(o: Options): Upstreams {
  const options: Client.Options = {
    pipelining: 1,
    allowH2: false,
    headersTimeout: 0, // ours cover what undici's miss: an upload that has just ended, a paused answer
    bodyTimeout: 0,
    keepAliveTimeout: KEEP_ALIVE_MS,
    maxHeaderSize: MAX_HEADER_BYTES,
  };
  const connect = createConnector(o);
  const all = new Set<Connection>();
  const idleOf = new Map<string, Connection[]>();
  // As many as clients may have, each with one call: past that, some have nothing to do.
  const { proxy: most } = connectionBounds();
  return {
    dispatch(origin, request, handler) {
      let idle = idleOf.get(origin);
      if (idle === undefined) idleOf.set(origin, (idle = []));
      let connection = idle.pop();
      if (connection === undefined) {
        if (all.size >= most) closeOldestIdle(idleOf);
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

/** Of the first origin that has one. */
function closeOldestIdle(idleOf: ReadonlyMap<string, readonly Connection[]>): void {
  for (const [oldest] of idleOf.values()) {
    if (oldest === undefined) continue;
    oldest.retire();
    return;
  }
}

/** One connection, with one request at a time on it. */
export class Connection extends Client {
  socket: Socket | undefined;
  /** Answers that have begun on this socket; more than none means that it is being reused. */
  answers = 0;
  readonly #idle: Connection[];
  readonly #all: Set<Connection>;
  #isIdle = false;

  constructor(
    origin: string,
    options: Client.Options,
    connect: buildConnector.connector,
    idle: Connection[],
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
          this.socket = socket;
          this.answers = 0;
          callback(null, socket);
        });
      },
    });
    this.#idle = idle;
    this.#all = all;
    this.on("drain", () => this.#release());
    this.on("disconnect", () => {
      this.socket = undefined;
      this.#forget();
    });
  }

  /** Closes it, while it has nothing to do; nobody is given it from now on. */
  retire(): void {
    this.#forget();
    this.destroy(null, () => undefined);
  }

  take(request: Dispatcher.DispatchOptions, handler: UpstreamHandler): void {
    this.#isIdle = false;
    handler.connection = this;
    this.dispatch(request, handler);
    if (this.stats.size === 0) this.#release(); // undici refused to send it
  }

  /** Has none that is idle be given to anybody. */
  #forget(): void {
    if (!this.#isIdle) return;
    this.#isIdle = false;
    this.#idle.splice(this.#idle.indexOf(this), 1);
    this.#all.delete(this);
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
}

/** Connects to where the rule allows; `deadlines.connectMs` covers name resolution, TCP and TLS, and once more a tunnel. */
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
      // The name is resolved behind the forward proxy, so only a literal address could be judged here.
      proxy.tunnel(host, port, (error, httpSocket) => {
        if (httpSocket === undefined) callback(error ?? new Error("no tunnel"), null);
        else overTls({ ...to, httpSocket }, callback);
      });
    }
  };
}
