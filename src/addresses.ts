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
  return isWithin(
    blocks.map((block) => ipaddr.parseCIDR(block)),
    parseAddress(address),
  );
}

/** Whether `address` lies in one of `blocks`; undefined lies in none. */
export function isWithin(blocks: readonly Cidr[], address: Address | undefined): boolean {
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

// How many elements of X-Forwarded-For are looked at, and how long one may be: nobody has more proxies than that in a row.
const MOST_HOPS = 32;
const LONGEST_ELEMENT = 64;

/**
 * The address that a request came from: the connection's, or, as far as that is one of `trusted`, the last of X-Forwarded-For's that
 * isn't. Undefined when that can't be read: nothing left of it is looked at, and an unknown address is on no list. `connection`: as a
 * socket gives it, in its one spelling. `rawHeaders`: name, value, name, value, …; all lines of the field are one list (RFC 9110, 5.2),
 * since some proxies add a line of their own.
 */
export function sourceAddress(
  connection: string | undefined,
  rawHeaders: readonly string[],
  trusted: readonly Cidr[],
): string | undefined {
  let address = trusted.length === 0 ? undefined : parseAddress(connection ?? "");
  if (!isWithin(trusted, address)) {
    return connection?.startsWith(MAPPED) === true ? connection.slice(MAPPED.length) : connection;
  }
  let hops = 0;
  for (let i = rawHeaders.length - 2; i >= 0; i -= 2) {
    if (rawHeaders[i]?.length !== 15 || rawHeaders[i]?.toLowerCase() !== "x-forwarded-for")
      continue;
    const line = rawHeaders[i + 1] ?? "";
    // From the right, an element at a time: what stands left of the first stranger is that stranger's, however long.
    for (let end = line.length; end >= 0;) {
      const comma = end === 0 ? -1 : line.lastIndexOf(",", end - 1);
      const named = ++hops > MOST_HOPS ? undefined : parseElement(line, comma + 1, end);
      end = comma;
      if (named === "empty") continue;
      address = named;
      if (!isWithin(trusted, address)) return address?.toString();
    }
  }
  return address?.toString();
}

/** An address as proxies write it: alone, with a port, in brackets, in quotes. Undefined when it can't be read. */
function parseElement(line: string, start: number, end: number): Address | "empty" | undefined {
  if (end - start > LONGEST_ELEMENT) return undefined;
  const text = line.slice(start, end).trim();
  if (text === "") return "empty";
  const bare = /^"[^"]*"$/.test(text) ? text.slice(1, -1) : text;
  const v4 = /^([^:]+)(?::\d{1,5})?$/.exec(bare)?.[1];
  if (v4 !== undefined) return isFourPart(v4) ? parseAddress(v4) : undefined;
  const v6 = /^\[([^\]]+)\](?::\d{1,5})?$/.exec(bare)?.[1] ?? bare;
  const tail = v6.slice(v6.lastIndexOf(":") + 1);
  if (tail.includes(".") && !isFourPart(tail)) return undefined;
  // A zone means something on the machine that wrote it, and nowhere else (RFC 4007, 6).
  return parseAddress(v6.replace(/%.*$/, ""));
}

/** Not octal, hex or one number: programs differ in how they read those. */
function isFourPart(text: string): boolean {
  return ipaddr.IPv4.isValidFourPartDecimal(text);
}

/** What one client is counted under: its IPv4 address, or the /64 that an IPv6 client has to itself. */
export function clientNetwork(address: string): string {
  const parsed = parseAddress(address);
  if (parsed === undefined) return "unknown";
  return parsed instanceof ipaddr.IPv6
    ? parsed.toNormalizedString().split(":").slice(0, 4).join(":")
    : parsed.toString();
}
