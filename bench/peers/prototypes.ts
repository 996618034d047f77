// The prototype of prototype/: what node:http and undici cost with next to nothing on top. It runs only when asked for
// (--peers …,dispatch), and knows neither WebSockets nor TLS. Its log goes where the product's goes.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { freePorts } from "../../test/support/service.ts";
import { REAL_KEY } from "../messages.ts";
import { end, PROXY_CORE, start, untilListening } from "../processes.ts";
import type { Peer, Site } from "./peer.ts";
import { logFile, openLog } from "./x3sproxy.ts";

export async function startPrototype(site: Site, name: "dispatch"): Promise<Peer> {
  const [port = 0] = await freePorts(1);
  const program = fileURLToPath(new URL(`../prototype/${name}.ts`, import.meta.url));
  const started = start([process.execPath, program], {
    core: PROXY_CORE,
    logFile: openLog(site, name),
    env: {
      PORT: String(port),
      UPSTREAM: String(site.upstreamPort),
      TOKEN: site.token,
      REAL_KEY,
    },
  });
  // Its output is a pipe, which can't be read a second time.
  const output = (): string => readFileSync(logFile(site, name), "utf8");
  await untilListening(port, { ...started, output });
  return {
    name,
    pid: started.pid,
    webSockets: false,
    door(route) {
      if (route !== "plain") return undefined;
      return { port, prefix: "/openai", bearer: site.token, headers: [] };
    },
    end: () => end(started),
  };
}
