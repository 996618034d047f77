// How an answer ends before its time at the client's socket: broken so that it can't be taken for a whole one, or whole while
// the client is still sending what nobody wants.
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";

// How long the rest of a body that nobody wants may still come in, before the client's connection is closed.
const UNREAD_BODY_MS = 30_000;
// The same after an answer that ends the connection: time for the client to read it before bytes in flight meet a closed port.
const LINGER_MS = 3_000;
// How long a client may take to read what had come before its answer broke.
const FLUSH_MS = 10_000;

/**
 * Ends a client's answer so that it can't be taken for a whole one. With `flush`, what has come is still sent; its end never is.
 * Where only the connection's end tells the end of the body (`byReset`), that has to be a reset.
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

/** Notes which connection carries a TLS socket: only that one can be reset. */
export function carriedBy(socket: TLSSocket & { [carrier]?: Socket }, connection: Socket): void {
  socket[carrier] = connection;
}

/** Resets a connection, the one below where it is a TLS socket. One whose end is already on its way can't be: it is closed, since Node would leave it open for ever. */
export function reset(socket: Socket & { [carrier]?: Socket; encrypted?: boolean }): void {
  const connection = socket.encrypted === true ? socket[carrier] : socket;
  if (connection === undefined || socket.writableEnded) socket.destroy();
  else connection.resetAndDestroy();
}

/** Reads what is left of a body that nobody wants, so that the client gets to see its answer; not for ever. */
export function discardRest(request: IncomingMessage): void {
  const { socket } = request;
  request.removeAllListeners("data");
  request.resume();
  const timer = setTimeout(() => {
    if (!request.complete) request.destroy();
  }, UNREAD_BODY_MS);
  timer.unref();
  // Node tells a request that has been answered nothing of its connection's end.
  const stop = (): void => {
    clearTimeout(timer);
    request.off("close", stop);
    socket.off("close", stop);
  };
  request.once("close", stop);
  socket.once("close", stop);
}

/** Has `linger` end a connection whenever it would be ended: its client is still sending, and unread bytes would cost it the answer. */
export function endByLinger(socket: Socket): void {
  socket.destroySoon = () => linger(socket);
}

/** Ends a connection whose last bytes are written: waits a moment for the client's end, and takes nothing more from it. */
export function linger(socket: Socket): void {
  socket.end();
  socket.on("error", () => socket.destroy());
  socket.resume();
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  timer.unref();
  socket.once("close", () => clearTimeout(timer));
}
