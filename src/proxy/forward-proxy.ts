// The operator's forward proxy (HTTPS_PROXY, NO_PROXY): which upstreams it covers, and the CONNECT tunnel to one of them (RFC 9110, 9.3.6).
// Never sees a request: we speak TLS to the upstream inside the tunnel.
import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import type { Socket } from "node:net";
import { errors } from "undici";
import type { Config } from "../platform/config.ts";
import { ConfigError } from "../platform/errors.ts";
import { readNoProxy } from "../platform/no-proxy.ts";

export interface ForwardProxy {
  /** Whether it covers an upstream. `host` without brackets. */
  covers(host: string, port: number): boolean;
  /** Opens a tunnel. The error of a proxy that does not answer in time is undici's ConnectTimeoutError. */
  tunnel(host: string, port: number, done: (error: Error | null, socket?: Socket) => void): void;
}

/** Makes it, or undefined when none is set. Throws ConfigError when HTTPS_PROXY is not an http or https URL, or its user can't be read. */
export function createForwardProxy(
  { httpsProxy, noProxy }: Config["upstreamProxy"],
  timeoutMs: number,
): ForwardProxy | undefined {
  if (httpsProxy === undefined) return undefined;
  const proxy = URL.parse(httpsProxy.includes("://") ? httpsProxy : `http://${httpsProxy}`);
  if (proxy === null || !/^https?:$/.test(proxy.protocol)) {
    throw new ConfigError(
      "HTTPS_PROXY: give an http or https URL, as in http://proxy.example:3128",
    );
  }
  const secure = proxy.protocol === "https:";
  const authorization = credentials(proxy);
  const bypasses = readNoProxy(noProxy);
  return {
    covers: (host, port) => !bypasses(host, port),
    tunnel(host, port, done) {
      const authority = `${host.includes(":") ? `[${host}]` : host}:${port}`;
      const request = (secure ? httpsRequest : httpRequest)({
        host: proxy.hostname.replace(/^\[|\]$/g, ""),
        port: proxy.port === "" ? (secure ? 443 : 80) : proxy.port,
        method: "CONNECT",
        path: authority,
        headers: { host: authority, ...authorization },
        agent: false,
        rejectUnauthorized: true,
      });
      const timer = setTimeout(
        () => request.destroy(new errors.ConnectTimeoutError("the forward proxy did not answer")),
        timeoutMs,
      );
      request.once("connect", (response, socket: Socket) => {
        clearTimeout(timer);
        if (response.statusCode === 200) {
          done(null, socket);
          return;
        }
        socket.destroy();
        done(
          Object.assign(new Error("the forward proxy refused the tunnel"), {
            code: "X3SPROXY_TUNNEL_REFUSED",
          }),
        );
      });
      request.once("response", () => request.destroy(new Error("no answer to CONNECT")));
      request.once("error", (error) => {
        clearTimeout(timer);
        done(error);
      });
      request.end();
    },
  };
}

function credentials({ username, password }: URL): { "proxy-authorization"?: string } {
  if (username === "") return {};
  try {
    const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
    return { "proxy-authorization": `Basic ${Buffer.from(pair).toString("base64")}` };
  } catch {
    throw new ConfigError("HTTPS_PROXY: write a % in the user or password as %25");
  }
}
