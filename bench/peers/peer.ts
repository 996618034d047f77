// What the bench needs to know of something that it measures, and of the place that it is measured in.
import type { Door } from "../messages.ts";

/** How the upstream is reached: plain HTTP/1.1, TLS with HTTP/1.1, TLS with HTTP/2 offered. */
export type Route = "plain" | "tls" | "h2";

export const PEER_NAMES = [
  "bare",
  "nginx",
  "haproxy",
  "x3sproxy",
  "before",
  "http-proxy-3",
  "portkey",
  "dispatch",
] as const;
export type PeerName = (typeof PEER_NAMES)[number];

/** Those that run only when they are asked for: a prototype, which nobody would use instead, and x3sproxy of another checkout. */
export const ONLY_WHEN_ASKED: ReadonlySet<PeerName> = new Set<PeerName>(["before", "dispatch"]);

export interface Site {
  /** Temporary: configurations, logs, data. */
  readonly folder: string;
  readonly upstreamPort: number;
  readonly tlsPort: number;
  readonly h2Port: number;
  /** The upstream's authority. */
  readonly caFile: string;
  /** What agents hold at the peers that only look it up. */
  readonly token: string;
}

export interface Peer {
  readonly name: PeerName;
  /** The root of its process tree; undefined when there is no process. */
  readonly pid: number | undefined;
  /** Undefined when it can't do that. */
  door(route: Route): Door | undefined;
  readonly webSockets: boolean;
  end(): Promise<void>;
}

/** The port of the upstream behind a route. */
export function upstreamPort(site: Site, route: Route): number {
  return { plain: site.upstreamPort, tls: site.tlsPort, h2: site.h2Port }[route];
}
