// How an answer ends early at the client's socket: broken off, so that it never looks complete; or complete, while the client still sends
// a body that nobody wants.
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";

// How long we still read a body that nobody wants, before the connection is closed.
const UNREAD_BODY_MS = 30_000;
// The same after an answer that ends the connection: a client whose bytes meet a closed port may lose the answer.
const LINGER_MS = 3_000;
// How long a client may take to read the part that came before its answer broke off.
const FLUSH_MS = 10_000;

/**
 * Breaks a client's answer off, so that it never looks complete. `flush`: still sends what has come. `byReset`: only the connection's end
 * shows where the body ends, so it must end by a reset.
 */
export function breakOff(response: ServerResponse, o: { flush: boolean; byReset: boolean }): void {
  const { socket } = response;
  if (socket === null) {
    response.destroy();
    return;
  }
  const end = (): void => {
    if (o.byReset) reset(socket);
    else socket.destroy();
  };
  if (!o.flush || socket.writableLength === 0) {
    end();
    return;
  }
  const timer = setTimeout(end, FLUSH_MS);
  socket.once("close", () => clearTimeout(timer));
  socket.write("", end);
}

const carrier = Symbol("connection");

/** Notes the TCP connection below a TLS socket: only that can be reset. */
export function carriedBy(socket: TLSSocket & { [carrier]?: Socket }, connection: Socket): void {
  socket[carrier] = connection;
}

/** Resets a connection; for a TLS socket, the TCP connection below. If its end was already sent, closes it: Node would leave it open for ever. */
export function reset(socket: Socket & { [carrier]?: Socket; encrypted?: boolean }): void {
  const connection = socket.encrypted === true ? socket[carrier] : socket;
  if (connection === undefined || socket.writableEnded) socket.destroy();
  else connection.resetAndDestroy();
}

/** Reads the rest of a body that nobody wants, for a bounded time, so that the client sees its answer. */
export function discardRest(request: IncomingMessage): void {
  const { socket } = request;
  request.removeAllListeners("data");
  request.resume();
  const timer = setTimeout(() => {
    if (!request.complete) request.destroy();
  }, UNREAD_BODY_MS);
  timer.unref();
  // Node doesn't tell an answered request when its connection ends.
  const stop = (): void => {
    clearTimeout(timer);
    request.off("close", stop);
    socket.off("close", stop);
  };
  request.once("close", stop);
  socket.once("close", stop);
}

/** Makes a connection end by `linger`: its client is still sending, and unread bytes would cost it the answer. */
export function endByLinger(socket: Socket): void {
  socket.destroySoon = () => linger(socket);
}

/** Ends a connection after its last bytes: waits a moment for the client to end it, and ignores what still comes. */
export function linger(socket: Socket): void {
  socket.end();
  socket.on("error", () => socket.destroy());
  socket.resume();
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  timer.unref();
  socket.once("close", () => clearTimeout(timer));
}
