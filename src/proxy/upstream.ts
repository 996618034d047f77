// Connections to the upstreams: pools of keep-alive sockets, TLS that is always verified, the address rule at the moment of
// connecting, and the operator's forward proxy. Follows no redirect and decodes nothing.
import { isIP, type Socket } from "node:net";
import { Agent, buildConnector, Client, Pool, type Dispatcher } from "undici";
import type { Config } from "../config.ts";
import { AddressRefusedError, type AddressRule } from "./address-rule.ts";
import { createForwardProxy } from "./forward-proxy.ts";

// Idle sockets are kept for less than the 60 s after which common load balancers drop theirs.
const KEEP_ALIVE_MS = 50_000;
const MAX_HEADER_BYTES = 64 * 1024;

/** The connection that a request is on: undici gives one request at a time to each. */
export interface Connection {
  socket: Socket | undefined;
  /** Answers that have begun on this socket; more than none means that it is being reused. */
  answers: number;
}

/** A dispatch handler that learns which connection it is on. */
export type UpstreamHandler = Dispatcher.DispatchHandler & { connection: Connection | undefined };

export interface Upstreams {
  /** Sends a request; failures reach the handler. `origin` is a normalised origin. */
  dispatch(
    options: Dispatcher.DispatchOptions & { origin: string },
    handler: UpstreamHandler,
  ): void;
  /** Cuts every connection. */
  destroy(): Promise<void>;
}

type Options = Pick<Config, "deadlines" | "upstreamProxy"> & { readonly rule: AddressRule };

/** Makes the pools. Throws ConfigError when the forward proxy's URL can't be used. */
export function createUpstreams(o: Options): Upstreams {
  const agent = new Agent({
    pipelining: 1,
    allowH2: false,
    headersTimeout: 0, // ours cover what undici's miss: an upload that has just ended, a paused answer
    bodyTimeout: 0,
    keepAliveTimeout: KEEP_ALIVE_MS,
    maxHeaderSize: MAX_HEADER_BYTES,
    connect: createConnector(o),
    factory: (origin: string | URL, options: object) =>
      new Pool(origin, {
        ...options,
        factory: (to: URL, clientOptions: object) => new TrackedClient(to, clientOptions),
      }),
  });
  return {
    dispatch: (request, handler) => void agent.dispatch(request, handler),
    destroy: () => agent.destroy(),
  };
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

class TrackedClient extends Client {
  readonly #connection: Connection;

  constructor(origin: URL, options: Client.Options) {
    const connection: Connection = { socket: undefined, answers: 0 };
    const connect = options.connect as buildConnector.connector;
    super(origin, {
      ...options,
      connect: (to, callback) => {
        connect(to, (error, socket) => {
          if (error !== null) {
            callback(error, null);
            return;
          }
          connection.socket = socket;
          connection.answers = 0;
          callback(null, socket);
        });
      },
    });
    this.#connection = connection;
  }

  override dispatch(
    options: Dispatcher.DispatchOptions,
    handler: Dispatcher.DispatchHandler,
  ): boolean {
    if ("connection" in handler) handler.connection = this.#connection;
    return super.dispatch(options, handler);
  }
}
