// Portkey's gateway, the npm package as it is. It keeps no keys: the caller's configuration brings the real one, which it
// puts into the request. So it does less than the others here, which look a token up.
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { freePorts } from "../../test/support/service.ts";
import { REAL_KEY } from "../messages.ts";
import { end, PROXY_CORE, start, untilListening } from "../processes.ts";
import type { Peer, Site } from "./peer.ts";

const SERVER = fileURLToPath(
  new URL("../node_modules/@portkey-ai/gateway/build/start-server.js", import.meta.url),
);

export async function startPortkey(site: Site): Promise<Peer> {
  const [port = 0] = await freePorts(1);
  const started = start([process.execPath, SERVER, `--port=${port}`, "--headless"], {
    core: PROXY_CORE,
    logFile: join(site.folder, "portkey.log"),
    env: { NODE_ENV: "production", NODE_EXTRA_CA_CERTS: site.caFile },
  });
  await untilListening(port, started);
  const configuration = (origin: string): string =>
    JSON.stringify({ provider: "openai", api_key: REAL_KEY, custom_host: `${origin}/v1` });
  return {
    name: "portkey",
    pid: started.pid,
    webSockets: false,
    door(route) {
      if (route === "h2") return undefined;
      const origin =
        route === "plain"
          ? `http://127.0.0.1:${site.upstreamPort}`
          : `https://localhost:${site.tlsPort}`;
      const headers = [["x-portkey-config", configuration(origin)]] as const;
      return { port, prefix: "", bearer: site.token, headers };
    },
    end: () => end(started),
  };
}
