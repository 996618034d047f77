// HAProxy, as somebody would set it up who needs nothing but the swap: a map from token to key, one thread, no log.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePorts } from "../../test/support/service.ts";
import { REAL_KEY } from "../messages.ts";
import { end, PROXY_CORE, start, untilListening } from "../processes.ts";
import { upstreamPort, type Peer, type Route, type Site } from "./peer.ts";

const ROUTES: readonly Route[] = ["plain", "tls", "h2"];

export async function startHaproxy(site: Site): Promise<Peer> {
  const ports = await freePorts(ROUTES.length);
  const folder = join(site.folder, "haproxy");
  mkdirSync(folder, { recursive: true });
  const keys = join(folder, "keys.map");
  writeFileSync(keys, `${site.token} ${REAL_KEY}\n`, { mode: 0o600 });
  const file = join(folder, "haproxy.cfg");
  writeFileSync(
    file,
    `global
  nbthread 1
  maxconn 9900
defaults
  mode http
  option http-no-delay
  option abortonclose
  http-reuse always
  timeout connect 5s
  timeout client 1h
  timeout server 1h
  timeout tunnel 1h
${ROUTES.map((route, i) => section(site, route, ports[i] ?? 0, keys)).join("\n")}
`,
  );
  const started = start(["haproxy", "-db", "-f", file], {
    core: PROXY_CORE,
    logFile: join(folder, "log"),
  });
  await untilListening(ports[0] ?? 0, started);
  return {
    name: "haproxy",
    pid: started.pid,
    webSockets: true,
    door(route) {
      const port = ports[ROUTES.indexOf(route)] ?? 0;
      return { port, prefix: "/openai", bearer: site.token, headers: [] };
    },
    end: () => end(started),
  };
}

function section(site: Site, route: Route, port: number, keys: string): string {
  const tls = `ssl verify required ca-file ${site.caFile} sni str(localhost) verifyhost localhost`;
  const alpn = { plain: "", tls: `${tls} alpn http/1.1`, h2: `${tls} alpn h2` }[route];
  return `frontend ${route}
  bind 127.0.0.1:${port} backlog 4096
  http-request set-var(txn.key) req.hdr(authorization),word(2,' '),map(${keys})
  http-request deny deny_status 401 unless { var(txn.key) -m found }
  http-request set-header authorization "Bearer %[var(txn.key)]"
  http-request set-header host localhost
  http-request replace-path /openai(/.*) \\1
  default_backend up_${route}
backend up_${route}
  server up 127.0.0.1:${upstreamPort(site, route)} ${alpn}`;
}
