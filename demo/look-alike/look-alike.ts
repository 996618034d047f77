// A server that looks like the providers' APIs, for the demo and the tests: one origin for all of them, told apart by
// path and headers. It accepts exactly the keys that it is given and remembers every request. Never for real use.
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type ServerResponse,
} from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { WebSocketServer } from "ws";
import {
  countTokens,
  createMessage,
  listAnthropicModels,
  sendAnthropicError,
} from "./anthropic.ts";
import type { Exchange } from "./exchange.ts";
import {
  generateContent,
  listGeminiModels,
  sendGeminiError,
  sendGeminiKeyError,
} from "./gemini.ts";
import { serveLive } from "./gemini-live.ts";
import { completeChat, embed, listModels, sendOpenAIError } from "./openai.ts";
import { serveRealtime } from "./openai-realtime.ts";
import { respond } from "./openai-responses.ts";
import { beginRecord, readBody, type RecordedRequest } from "./record.ts";

export type { RecordedRequest } from "./record.ts";

export interface LookAlike {
  /** Listens on the loopback address; gives the origin. Port 0 or none: any free one. */
  listen(port?: number): Promise<string>;
  /** Replaces the accepted keys of one provider. */
  setKeys(provider: string, keys: readonly string[]): void;
  /** Every request so far, oldest first. */
  readonly requests: readonly RecordedRequest[];
  /** The next request that arrives, as soon as its header section is there. */
  nextRequest(): Promise<RecordedRequest>;
  /** Cuts what is open and stops listening. */
  close(): Promise<void>;
}

/** How a request is to be understood. Everything that is neither Anthropic's nor Gemini's is taken for OpenAI's. */
type Api = "openai" | "anthropic" | "gemini";
type Handler = (exchange: Exchange) => void | Promise<void>;

const ROUTES: readonly (readonly [api: Api, method: string, path: RegExp, handler: Handler])[] = [
  ["anthropic", "POST", /\/messages$/, createMessage],
  ["anthropic", "POST", /\/messages\/count_tokens$/, countTokens],
  ["anthropic", "GET", /\/models$/, listAnthropicModels],
  ["gemini", "POST", /\/models\/[^/:]+:(?:streamG|g)enerateContent$/, generateContent],
  ["gemini", "GET", /\/models$/, listGeminiModels],
  ["openai", "POST", /\/chat\/completions$/, completeChat],
  ["openai", "POST", /\/responses$/, respond],
  ["openai", "POST", /\/embeddings$/, embed],
  ["openai", "GET", /\/models$/, listModels],
];

/** Makes a look-alike. `keys`: provider → accepted keys. With `tls` it speaks https and wss, else http and ws. */
export function createLookAlike(options: {
  keys: Readonly<Record<string, readonly string[]>>;
  tls?: { key: string; cert: string };
}): LookAlike {
  const keys = new Map(Object.entries(options.keys));
  const requests: RecordedRequest[] = [];
  const sockets = new WebSocketServer({
    noServer: true,
    handleProtocols: (offered) => offered.has("realtime") && "realtime",
  });

  let next = Promise.withResolvers<RecordedRequest>();
  const remember = (record: RecordedRequest): void => {
    requests.push(record);
    next.resolve(record);
    next = Promise.withResolvers();
  };

  const findKey = (api: Api, given: string | undefined) => {
    for (const [provider, accepted] of keys) {
      if (given !== undefined && apiOf(provider) === api && accepted.includes(given)) {
        return { provider, value: given };
      }
    }
    return undefined;
  };

  const answer = async (req: IncomingMessage, res: ServerResponse): Promise<void> => {
    const { record, end } = beginRecord(req, false);
    remember(record);
    res.once("close", () => end(res.writableFinished ? "answered" : "abandoned"));
    const cut = () => {
      end("cut");
      res.destroy();
    };

    const url = new URL(`http://look-alike${req.url?.replace(/^\/+/, "/") ?? "/"}`);
    const api = classify(req, url.pathname);
    const given = presentedKey(api, req, url.searchParams);
    record.key = findKey(api, given);
    const text = await readBody(req, record);
    const route = ROUTES.find(
      ([of, method, path]) => of === api && method === req.method && path.test(url.pathname),
    );
    if (route === undefined) sendError(api, res, 404);
    else if (record.key === undefined) sendKeyError(api, res, given);
    else {
      const body = parseObject(text.toString());
      if (body === undefined) sendError(api, res, 400, "The body is not a JSON object.");
      else {
        const { provider, value } = record.key;
        const { pathname: path, searchParams: query } = url;
        await route[3]({ req, res, path, query, body, record, cut, provider, key: value });
      }
    }
  };

  const listener: RequestListener = (req, res) => {
    // A caller that breaks off in the middle of its request is on the record already.
    answer(req, res).catch(() => res.destroy());
  };
  const server =
    options.tls === undefined ? createServer(listener) : createTlsServer(options.tls, listener);

  server.on("upgrade", (req: IncomingMessage, socket: Duplex, head: Buffer) => {
    const { record, end } = beginRecord(req, true);
    remember(record);
    const url = new URL(`http://look-alike${req.url?.replace(/^\/+/, "/") ?? "/"}`);
    const api = classify(req, url.pathname);
    const isLive = /\.BidiGenerateContent$/.test(url.pathname);
    if (!isLive && !url.pathname.endsWith("/realtime")) {
      socket.end("HTTP/1.1 404 Not Found\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
      end("answered");
      return;
    }
    record.key = findKey(api, presentedKey(api, req, url.searchParams));
    sockets.handleUpgrade(req, socket, head, (webSocket) => {
      webSocket.on("close", (code) => end(code === 1006 ? "abandoned" : "answered"));
      webSocket.on("error", () => webSocket.terminate());
      if (isLive) serveLive(webSocket, record.key);
      else serveRealtime(webSocket, record.key, url.searchParams.get("model") ?? "");
    });
  });

  return {
    requests,
    nextRequest: () => next.promise,
    setKeys: (provider, accepted) => void keys.set(provider, accepted),
    async listen(port = 0) {
      await new Promise<void>((resolve, reject) => {
        server.once("error", reject).listen(port, "127.0.0.1", resolve);
      });
      const scheme = options.tls === undefined ? "http" : "https";
      return `${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}`;
    },
    async close() {
      for (const webSocket of sockets.clients) webSocket.terminate();
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

function apiOf(provider: string): Api {
  return provider === "anthropic" || provider === "gemini" ? provider : "openai";
}

function classify(req: IncomingMessage, path: string): Api {
  if (req.headers["anthropic-version"] !== undefined || /\/messages(?:\/|$)/.test(path)) {
    return "anthropic";
  }
  const isGemini =
    req.headers["x-goog-api-key"] !== undefined ||
    /^\/v1(?:alpha|beta)\/|^\/ws\/google\.|\/models\/[^/]+:\w+$/.test(path);
  return isGemini ? "gemini" : "openai";
}

/** The key where the provider takes it: elsewhere it does not count. */
function presentedKey(api: Api, req: IncomingMessage, query: URLSearchParams): string | undefined {
  const header = (name: string) => {
    const value = req.headers[name];
    return typeof value === "string" ? value : undefined;
  };
  const bearer = /^Bearer (.+)$/i.exec(header("authorization") ?? "")?.[1];
  switch (api) {
    case "anthropic":
      return header("x-api-key") ?? bearer;
    case "gemini":
      return header("x-goog-api-key") ?? query.get("key") ?? undefined;
    case "openai":
      return (
        bearer ??
        /openai-insecure-api-key\.([^\s,]+)/.exec(header("sec-websocket-protocol") ?? "")?.[1]
      );
  }
}

function sendError(api: Api, res: ServerResponse, status: number, message?: string): void {
  const send = { openai: sendOpenAIError, anthropic: sendAnthropicError, gemini: sendGeminiError };
  send[api](res, status, message);
}

function sendKeyError(api: Api, res: ServerResponse, given: string | undefined): void {
  if (api === "gemini") sendGeminiKeyError(res, given !== undefined);
  else sendError(api, res, 401);
}

/** An empty body counts as `{}`. */
function parseObject(text: string): Record<string, unknown> | undefined {
  if (text === "") return {};
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}
