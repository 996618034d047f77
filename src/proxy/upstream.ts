// Connections to the upstreams: pools of keep-alive sockets, TLS that is always verified, the address rule at the moment of
// connecting, and the operator's forward proxy. Follows no redirect and decodes nothing.
import { isIP, type Socket } from "node:net";
import { Agent, buildConnector, Client, EnvHttpProxyAgent, Pool, type Dispatcher } from "undici";
import type { Config } from "../config.ts";
import { AddressRefusedError, type AddressRule } from "./address-rule.ts";

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
  /** Sends a request; failures reach the handler. `origin` is a normalised origin that the rule has not refused. */
  dispatch(
    options: Dispatcher.DispatchOptions & { origin: string },
    handler: UpstreamHandler,
  ): void;
  /** Cuts every connection. */
  destroy(): Promise<void>;
}

/** Makes the pools. `deadlines.connectMs` covers name resolution, TCP and TLS. */
export function createUpstreams(
  o: Pick<Config, "deadlines" | "upstreamProxy"> & { rule: AddressRule },
): Upstreams {
  const options = {
    pipelining: 1,
    allowH2: false,
    headersTimeout: 0, // ours cover what undici's miss: an upload that has just ended, a paused answer
    bodyTimeout: 0,
    keepAliveTimeout: KEEP_ALIVE_MS,
    maxHeaderSize: MAX_HEADER_BYTES,
    connectTimeout: o.deadlines.connectMs,
    connect: guardedConnector(o.rule, o.deadlines.connectMs),
    factory: (origin: string | URL, poolOptions: object) =>
      new Pool(origin, {
        ...poolOptions,
        factory: (to: URL, clientOptions: object) => new TrackedClient(to, clientOptions),
      }),
  };
  const direct = new Agent(options);
  const { httpsProxy, noProxy } = o.upstreamProxy;
  const tls = { rejectUnauthorized: true, minVersion: "TLSv1.2" as const };
  const proxied =
    httpsProxy === undefined
      ? undefined
      : new EnvHttpProxyAgent({
          ...options,
          httpsProxy,
          httpProxy: httpsProxy,
          noProxy: noProxy ?? "",
          requestTls: tls,
          proxyTls: tls,
        });
  return {
    dispatch(request, handler) {
      try {
        if (proxied === undefined || request.origin.startsWith("http:")) {
          direct.dispatch(request, handler);
          return;
        }
        // Behind a forward proxy the name is resolved there, so only a literal address can be judged here.
        if (o.rule.originProblem(request.origin) !== undefined) throw new AddressRefusedError();
        proxied.dispatch(request, handler);
      } catch (error) {
        handler.onResponseError?.(undefined as never, error as Error);
      }
    },
    async destroy() {
      await Promise.all([direct.destroy(), proxied?.destroy()]);
    },
  };
}

function guardedConnector(rule: AddressRule, timeout: number): buildConnector.connector {
  const base = { timeout, allowH2: false, minVersion: "TLSv1.2" as const };
  const https = buildConnector({
    ...base,
    rejectUnauthorized: true,
    lookup: rule.lookup("https:"),
  });
  const http = buildConnector({
    ...base,
    lookup: rule.lookup("http:"),
  });
  return (to, callback) => {
    const protocol = to.protocol === "http:" ? "http:" : "https:";
    const host = to.hostname.replace(/^\[|\]$/g, "");
    if (isIP(host) !== 0 && !rule.allows(host, protocol)) {
      queueMicrotask(() => callback(new AddressRefusedError(), null));
      return;
    }
    (protocol === "http:" ? http : https)(to, callback);
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
