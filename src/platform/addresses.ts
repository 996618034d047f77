// Network addresses and blocks of addresses: parsing, comparing, and which client a request comes from. Pure.
import ipaddr from "ipaddr.js";

/** A block of addresses, as ipaddr.js parses it: an address, and the length of the prefix in bits. */
export type Cidr = readonly [ipaddr.IPv4 | ipaddr.IPv6, number];

/** How a dual-stack socket writes an IPv4 address (RFC 4291, 2.5.5.2). */
const MAPPED = "::ffff:";

export type Address = ipaddr.IPv4 | ipaddr.IPv6;

/** The address in `text`, an IPv4-mapped one as IPv4. Undefined if `text` is not an address. */
export function parseAddress(text: string): Address | undefined {
  return ipaddr.isValid(text) ? ipaddr.process(text) : undefined;
}

/** The canonical spelling of `text`, a block in CIDR form or one address. Undefined if it is neither. */
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

/** The network by which a client is counted: an IPv4 address itself, an IPv6 address's /64. Undefined if `text` is not an address. */
export function networkOf(text: string): string | undefined {
  const address = parseAddress(text);
  if (address === undefined || address.kind() === "ipv4") return address?.toString();
  const prefix = ipaddr.IPv6.networkAddressFromCIDR(
    `${address.toNormalizedString().split("%")[0] ?? ""}/64`,
  );
  return `${prefix.toString()}/64`;
}

// How many elements of X-Forwarded-For are read, and how long one may be. No chain of proxies is longer.
const MOST_HOPS = 32;
const LONGEST_ELEMENT = 64;

/**
 * The client's address: the connection's own, or if that is one of `trusted`, the last address in X-Forwarded-For that isn't. Undefined if
 * that element can't be read: elements before it are not believed, and an unknown address is on no list. `connection`: as a socket gives
 * it. `rawHeaders`: name, value, name, value, …; all lines of the field are one list (RFC 9110, 5.2), since some proxies add a line.
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
    // From the right, one element at a time: whatever is to the left of the first untrusted address was written by an untrusted client.
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

/** An address as proxies write it: alone, with a port, in brackets, in quotes. Undefined if it can't be read. */
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
  // A zone has a meaning only on the machine that wrote it (RFC 4007, 6).
  return parseAddress(v6.replace(/%.*$/, ""));
}

/** Accept no octal, hexadecimal or single-number forms: programs read them differently. */
function isFourPart(text: string): boolean {
  return ipaddr.IPv4.isValidFourPartDecimal(text);
}

/** The network by which a client is counted; "unknown" if its address is. */
export function clientNetwork(address: string): string {
  return networkOf(address) ?? "unknown";
}
