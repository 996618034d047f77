// No proxy at all: the load speaks to the upstream itself. What the load and the upstream can do, and where latency begins.
import { REAL_KEY } from "../messages.ts";
import type { Peer, Site } from "./peer.ts";

export function startBare(site: Site): Peer {
  return {
    name: "bare",
    pid: undefined,
    webSockets: true,
    door(route) {
      if (route !== "plain") return undefined;
      return { port: site.upstreamPort, prefix: "", bearer: REAL_KEY, headers: [] };
    },
    end: () => Promise.resolve(),
  };
}
