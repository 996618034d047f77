// What node:http and undici's dispatch cost by themselves: the swap of one token, and nothing else that a product needs. The floor
// under everything that is built on the two. Must never be shipped.
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { Client, type Dispatcher } from "undici";

const { PORT = "", UPSTREAM = "", TOKEN = "", REAL_KEY = "" } = process.env;
const ORIGIN = `http://127.0.0.1:${UPSTREAM}`;
const keys = new Map([[`Bearer ${TOKEN}`, `Bearer ${REAL_KEY}`]]);
const idle: Client[] = [];

class Relay implements Dispatcher.DispatchHandler {
  readonly #response: ServerResponse;
  readonly #client: Client;

  constructor(response: ServerResponse, client: Client) {
    this.#response = response;
    this.#client = client;
  }

  onRequestStart(): void {
    // Nothing to note.
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number): void {
    const raw = (controller.rawHeaders as Buffer[]).map((bytes) => bytes.toString("latin1"));
    const headers = raw.filter((_, i) => raw[i - (i % 2)]?.toLowerCase() !== "transfer-encoding");
    this.#response.writeHead(status, headers);
    this.#response.flushHeaders();
  }

  onResponseData(_controller: unknown, chunk: Buffer): void {
    this.#response.write(chunk);
  }

  onResponseEnd(): void {
    idle.push(this.#client);
    this.#response.end();
  }

  onResponseError(): void {
    this.#response.destroy();
  }
}

function forward(request: IncomingMessage, response: ServerResponse, body: Buffer | null): void {
  const raw = request.rawHeaders;
  const headers: string[] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i]?.toLowerCase() ?? "";
    const value = raw[i + 1] ?? "";
    if (name === "host" || name === "connection") continue;
    headers.push(name, name === "authorization" ? (keys.get(value) ?? "") : value);
  }
  const client = idle.pop() ?? new Client(ORIGIN, { headersTimeout: 0, bodyTimeout: 0 });
  const path = (request.url ?? "").slice("/openai".length);
  client.dispatch(
    { path, method: request.method ?? "", headers, body },
    new Relay(response, client),
  );
}

const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    const [first] = chunks;
    forward(request, response, chunks.length > 1 ? Buffer.concat(chunks) : (first ?? null));
  });
});
server.listen(Number(PORT), "127.0.0.1");
