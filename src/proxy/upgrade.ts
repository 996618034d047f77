// A WebSocket through the proxy: the same request as any other up to the upstream's answer, then two sockets joined. Cut when
// its token stops being live.
import { ServerResponse, type IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { Dispatcher } from "undici";
import type { Exchange, Outcome } from "./exchange.ts";
import { Forwarding, type ForwardContext, type Plan, type Refuse } from "./forward.ts";
import { hasHeader, responseHeaders, textPairs } from "./headers.ts";

export interface TunnelOptions {
  /** The subprotocol to name when the client's credential stood among its subprotocols and the upstream names none. */
  readonly subprotocolScheme: string | undefined;
  /** Begins watching the token; calls back when it is no longer live. Returns the end of the watch. */
  readonly watch: (onRevoked: () => void) => () => void;
}

/** The answer to an upgrade request as long as it is a plain HTTP one: a refusal, or whatever an upstream says instead of 101. */
export function upgradeResponse(request: IncomingMessage, socket: Socket): ServerResponse {
  const response = new ServerResponse(request);
  response.shouldKeepAlive = false;
  response.assignSocket(socket);
  socket.on("drain", () => response.emit("drain"));
  socket.on("error", () => socket.destroy());
  response.on("finish", () => socket.destroySoon());
  return response;
}

export class Tunnel extends Forwarding {
  readonly #options: TunnelOptions;
  readonly #head: Buffer;
  readonly #client: Socket;
  #upstream: Duplex | undefined;
  #outcome: Outcome = "completed";
  #unwatch: (() => void) | undefined;

  constructor(
    context: ForwardContext,
    exchange: Exchange,
    request: IncomingMessage,
    response: ServerResponse,
    plan: Plan,
    refuse: Refuse,
    head: Buffer,
    options: TunnelOptions,
  ) {
    super(context, exchange, request, response, plan, refuse);
    this.#client = request.socket;
    this.#head = head;
    this.#options = options;
  }

  override start(): void {
    this.send("websocket");
  }

  onRequestUpgrade(
    controller: Dispatcher.DispatchController,
    status: number,
    _headers: unknown,
    upstream: Duplex,
  ): void {
    upstream.on("error", () => upstream.destroy());
    if (this.over) {
      upstream.destroy();
      return;
    }
    this.settle();
    const client = this.#client;
    this.#upstream = upstream;
    this.exchange.status = status;
    this.context.exchanges.firstByte(this.exchange);
    this.response.removeAllListeners("close");
    this.response.detachSocket(client);
    client.setNoDelay(true);
    client.write(this.#handshake(textPairs(controller.rawHeaders as Buffer[])), "latin1");
    if (this.#head.length > 0) client.unshift(this.#head);
    relay(client, upstream, (bytes) => (this.exchange.requestBytes += bytes));
    relay(upstream, client, (bytes) => (this.exchange.responseBytes += bytes));
    client.once("close", () => this.#closed());
    upstream.once("close", () => this.#closed());
    this.#unwatch = this.#options.watch(() => this.cut());
  }

  override cut(): void {
    if (this.#upstream === undefined) {
      super.cut();
      return;
    }
    this.#outcome = "cut";
    this.#client.destroy();
    this.#upstream.destroy();
  }

  #handshake(upstreamHeaders: readonly string[]): string {
    const headers = responseHeaders(upstreamHeaders);
    headers.push("Connection", "Upgrade", "Upgrade", "websocket");
    const { subprotocolScheme } = this.#options;
    if (subprotocolScheme !== undefined && !hasHeader(headers, "sec-websocket-protocol")) {
      headers.push("Sec-WebSocket-Protocol", subprotocolScheme);
    }
    let head = "HTTP/1.1 101 Switching Protocols\r\n";
    for (let i = 0; i + 1 < headers.length; i += 2) {
      head += `${headers[i] ?? ""}: ${headers[i + 1] ?? ""}\r\n`;
    }
    return head + "\r\n";
  }

  #closed(): void {
    this.#unwatch?.();
    this.#client.destroySoon();
    this.#upstream?.destroy();
    this.context.exchanges.end(this.exchange, this.#outcome);
  }
}

function relay(from: Duplex, to: Duplex, count: (bytes: number) => void): void {
  from.on("data", (chunk: Buffer) => {
    count(chunk.length);
    if (!to.write(chunk)) from.pause();
  });
  to.on("drain", () => from.resume());
  from.on("end", () => to.end());
  from.resume();
}
