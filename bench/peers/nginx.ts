// nginx, as somebody would set it up who needs nothing but the swap: a map from token to key, one worker, no log.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePorts } from "../../test/support/service.ts";
import { ANSWER, REAL_KEY } from "../messages.ts";
import { end, LOAD_CORE, PROXY_CORE, start, untilListening, type Started } from "../processes.ts";
import { upstreamPort, type Peer, type Route, type Site } from "./peer.ts";

const ROUTES: readonly Route[] = ["plain", "tls"]; // it speaks no HTTP/2 to upstreams

export async function startNginx(site: Site): Promise<Peer> {
  const ports = await freePorts(ROUTES.length);
  const started = await run(
    site,
    "nginx",
    PROXY_CORE,
    `map $http_authorization $real_key {
       default "";
       "Bearer ${site.token}" "Bearer ${REAL_KEY}";
     }
     map $http_upgrade $connection_header { default upgrade; "" ""; }
     ${ROUTES.map((route, i) => proxyServer(site, route, ports[i] ?? 0)).join("\n")}`,
    ports[0] ?? 0,
  );
  return {
    name: "nginx",
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

/** The upstream over TLS, on the load's core: HTTP/1.1 alone at one port, and HTTP/2 as well at the other. */
export async function startTlsUpstream(
  site: Site,
  certificate: { readonly key: string; readonly cert: string },
): Promise<void> {
  const files = { cert: join(site.folder, "tls.crt"), key: join(site.folder, "tls.key") };
  writeFileSync(files.cert, certificate.cert);
  writeFileSync(files.key, certificate.key, { mode: 0o600 });
  const server = (listen: string): string => `server {
    listen ${listen} backlog=4096;
    ssl_certificate ${files.cert};
    ssl_certificate_key ${files.key};
    default_type application/json;
    add_header x-upstream-protocol $server_protocol;
    if ($http_authorization != "Bearer ${REAL_KEY}") { return 401; }
    location / { return 200 '${ANSWER}'; }
  }`;
  const servers = [`${site.tlsPort} ssl`, `${site.h2Port} ssl http2`].map(server).join("\n");
  await run(site, "tls-upstream", LOAD_CORE, servers, site.tlsPort);
}

function proxyServer(site: Site, route: Route, port: number): string {
  const scheme = route === "plain" ? "http" : "https";
  return `
  upstream up_${route} {
    server 127.0.0.1:${upstreamPort(site, route)};
    keepalive 1024;
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
  }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location /openai/ {
      if ($real_key = "") { return 401; }
      proxy_pass ${scheme}://up_${route}/;
      proxy_http_version 1.1;
      proxy_buffering off;
      proxy_request_buffering off;
      proxy_read_timeout 1h;
      proxy_set_header authorization $real_key;
      proxy_set_header host localhost;
      proxy_set_header connection $connection_header;
      proxy_set_header upgrade $http_upgrade;
      proxy_ssl_verify on;
      proxy_ssl_trusted_certificate ${site.caFile};
      proxy_ssl_name localhost;
      proxy_ssl_server_name on;
    }
  }`;
}

async function run(
  site: Site,
  name: string,
  core: number,
  http: string,
  port: number,
): Promise<Started> {
  const folder = join(site.folder, name);
  mkdirSync(folder, { recursive: true });
  const file = join(folder, "nginx.conf");
  const logFile = join(folder, "error.log");
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((kind) => `${kind}_temp_path ${join(folder, kind)};`)
    .join("\n");
  writeFileSync(
    file,
    `daemon off;
${process.getuid?.() === 0 ? "user root;" : ""}
worker_processes 1;
worker_rlimit_nofile 20000;
pid ${join(folder, "pid")};
error_log ${logFile} error;
events { worker_connections 19900; }
http {
  access_log off;
  map_hash_bucket_size 256;
  client_max_body_size 0;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  tcp_nodelay on;
  ${temporary}
  ${http}
}
`,
  );
  const started = start(["nginx", "-c", file, "-e", logFile], { core, logFile });
  await untilListening(port, started);
  return started;
}
