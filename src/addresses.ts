// Network addresses and blocks of them, as text and parsed: whose requests count as whose. Pure.
import ipaddr from "ipaddr.js";
import type { Cidr } from "./config.ts";

/** How a socket writes IPv4 that came to a socket for both (RFC 4291, 2.5.5.2). */
const MAPPED = "::ffff:";

export type Address = ipaddr.IPv4 | ipaddr.IPv6;

/** The address in `text`, IPv4-mapped ones as IPv4; undefined when it is none. */
export function parseAddress(text: string): Address | undefined {
  return ipaddr.isValid(text) ? ipaddr.process(text) : undefined;
}

/** `text` (a block in CIDR form, or one address) in its one spelling; undefined when it is neither. */
export function parseBlock(text: string): string | undefined {
  const { IPv4, IPv6 } = ipaddr;
  if (IPv4.isValidFourPartDecimal(text)) return `${IPv4.parse(text).toString()}/32`;
  if (IPv6.isValid(text)) {
    const address = ipaddr.process(text);
    return `${address.toString()}/${address.kind() === "ipv4" ? 32 : 128}`;
  }
  if (IPv4.isValidCIDRFourPartDecimal(text)) {
    return `${IPv4.networkAddressFromCIDR(text).toString()}/${IPv4.parseCIDR(text)[1]}`;
  }
  if (IPv6.isValidCIDR(text)) {
    return `${IPv6.networkAddressFromCIDR(text).toString()}/${IPv6.parseCIDR(text)[1]}`;
  }
  return undefined;
}

/** Whether `address` lies in one of `blocks`, as `parseBlock` gives them. IPv4-mapped addresses count as IPv4. */
export function holds(blocks: readonly string[], address: string): boolean {
  return lies(
    blocks.map((block) => ipaddr.parseCIDR(block)),
    parseAddress(address),
  );
}

/** Whether `address` lies in one of `blocks`; undefined lies in none. */
export function lies(blocks: readonly Cidr[], address: Address | undefined): boolean {
  return (
    address !== undefined &&
    blocks.some(([block, bits]) => block.kind() === address.kind() && address.match(block, bits))
  );
}

/** What addresses of one host or one site share: an IPv4 address itself, an IPv6 address's /64. Undefined when `text` is none. */
export function networkOf(text: string): string | undefined {
  const address = parseAddress(text);
  if (address === undefined || address.kind() === "ipv4") return address?.toString();
  const prefix = ipaddr.IPv6.networkAddressFromCIDR(
    `${address.toNormalizedString().split("%")[0] ?? ""}/64`,
  );
  return `${prefix.toString()}/64`;
}

/**
 * The address that a request came from: the connection's, or, as far as the connection's is one of `trusted`, the last of
 * X-Forwarded-For's that isn't. Undefined when that is no address. `connection`: as a socket gives it, in its one spelling.
 */
export function sourceAddress(
  connection: string | undefined,
  forwardedFor: string | undefined,
  trusted: readonly Cidr[],
): string | undefined {
  if (trusted.length === 0 || forwardedFor === undefined) {
    return connection?.startsWith(MAPPED) === true ? connection.slice(MAPPED.length) : connection;
  }
  let address = parseAddress(connection ?? "");
  const named = forwardedFor.split(",");
  while (lies(trusted, address)) {
    const next = named.pop()?.trim();
    if (next === undefined) break;
    address = parseAddress(next);
  }
  return address?.toString();
}

/** What one client is counted under: its IPv4 address, or the /64 that an IPv6 client has to itself. */
export function clientNetwork(address: string): string {
  const parsed = parseAddress(address);
  if (parsed === undefined) return "unknown";
  return parsed instanceof ipaddr.IPv6
    ? parsed.toNormalizedString().split(":").slice(0, 4).join(":")
    : parsed.toString();
}
