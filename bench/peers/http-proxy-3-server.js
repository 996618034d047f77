// The proxy that many would write with http-proxy-3: look the token up, put the key in its place, hand over. Plain JavaScript,
// since Node's stripping of types would add 16 MB to its memory. Run by http-proxy-3.ts, and by a test, with its settings in
// the environment.
import { Agent, createServer } from "node:http";
import { Agent as TlsAgent } from "node:https";
import { createProxyServer } from "http-proxy-3";

const { PORTS = "", TARGETS = "", TOKEN = "", REAL_KEY = "" } = process.env;
const keys = new Map([[`Bearer ${TOKEN}`, `Bearer ${REAL_KEY}`]]);
const targets = TARGETS.split(",");

for (const [i, port] of PORTS.split(",").entries()) {
  const target = targets[i] ?? "";
  const settings = { keepAlive: true, maxSockets: Infinity, maxFreeSockets: 1024 };
  const proxy = createProxyServer({
    target,
    agent: target.startsWith("https:") ? new TlsAgent(settings) : new Agent(settings),
    changeOrigin: true,
    secure: true,
    ws: true,
  });
  proxy.on("error", (_error, _request, response) => void response.destroy());
  const server = createServer((request, response) => {
    const key = keys.get(request.headers.authorization ?? "");
    if (key === undefined) {
      response.writeHead(401).end();
      return;
    }
    request.headers.authorization = key;
    request.url = (request.url ?? "").slice("/openai".length);
    proxy.web(request, response);
  });
  server.on("upgrade", (request, socket, head) => {
    const key = keys.get(request.headers.authorization ?? "");
    if (key === undefined) {
      socket.destroy();
      return;
    }
    request.headers.authorization = key;
    request.url = (request.url ?? "").slice("/openai".length);
    proxy.ws(request, socket, head);
  });
  server.keepAliveTimeout = 3_600_000;
  server.listen({ port: Number(port), host: "127.0.0.1", backlog: 4096 });
}
