// http-proxy-3 with keep-alive agents: what a Node program of thirty lines costs.
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { freePorts } from "../../test/support/service.ts";
import { REAL_KEY } from "../messages.ts";
import { end, PROXY_CORE, start, untilListening } from "../processes.ts";
import type { Peer, Route, Site } from "./peer.ts";

const SERVER = fileURLToPath(new URL("http-proxy-3-server.js", import.meta.url));
const ROUTES: readonly Route[] = ["plain", "tls"];

export async function startHttpProxy3(site: Site): Promise<Peer> {
  const ports = await freePorts(ROUTES.length);
  const started = start([process.execPath, SERVER], {
    core: PROXY_CORE,
    logFile: join(site.folder, "http-proxy-3.log"),
    env: {
      PORTS: ports.join(","),
      TARGETS: `http://127.0.0.1:${site.upstreamPort},https://localhost:${site.tlsPort}`,
      TOKEN: site.token,
      REAL_KEY,
      NODE_EXTRA_CA_CERTS: site.caFile,
    },
  });
  await untilListening(ports[0] ?? 0, started);
  return {
    name: "http-proxy-3",
    pid: started.pid,
    webSockets: true,
    door(route) {
      const port = ports[ROUTES.indexOf(route)];
      if (port === undefined) return undefined;
      return { port, prefix: "/openai", bearer: site.token, headers: [] };
    },
    end: () => end(started),
  };
}
