// Which Host names belong to this service.
import { parseAddress } from "../platform/addresses.ts";
import type { ListenAddress } from "../platform/config.ts";

/**
 * Whether a request may name `hostHeader` as its Host: the dashboard's, the address that it came in on, or the local
 * machine. Any other name may be an attacker's that points at us (DNS rebinding). Ports differ behind a mapping,
 * so they don't count.
 */
export function isOwnHost(
  hostHeader: string | undefined,
  own: { dashboardUrl: string; listening: ListenAddress | undefined; local: string | undefined },
): boolean {
  const url = URL.parse(`http://${hostHeader ?? ""}`);
  if (url === null || hostHeader === undefined || /[/?#@\\]/.test(hostHeader)) return false;
  const name = bare(url.hostname);
  const names = ["localhost", "127.0.0.1", "::1", bare(new URL(own.dashboardUrl).hostname)];
  for (const text of [own.listening?.host, own.local]) {
    const address = text === undefined ? undefined : parseAddress(text);
    if (address !== undefined && address.range() !== "unspecified") names.push(address.toString());
  }
  return names.includes(name);
}

/** Whether the host of `url` is this machine. False if `url` is not a URL. */
export function isLoopbackHost(url: string): boolean {
  const name = bare(URL.parse(url)?.hostname ?? "");
  return name === "localhost" || parseAddress(name)?.range() === "loopback";
}

/** Whether browsers reach us by plain HTTP over a network. Then nobody can sign in. */
export function plainOverNetwork(dashboardUrl: string): boolean {
  return dashboardUrl.startsWith("http:") && !isLoopbackHost(dashboardUrl);
}

function bare(hostname: string): string {
  return hostname.replace(/^\[|\]$/g, "").toLowerCase();
}
