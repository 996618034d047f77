// NO_PROXY: which hosts are reached directly, without the forward proxy. Entries are read as by curl, Go
// (golang.org/x/net/http/httpproxy) and httpx; where these differ, an entry matches if it does for one of them. Never resolves a name: blocks
// match only hosts that are addresses.
import { domainToASCII } from "node:url";
import ipaddr from "ipaddr.js";
import { parseAddress, type Address } from "./addresses.ts";

/** Whether a host (a name, or an address without brackets) is reached directly at this port. */
export type NoProxy = (host: string, port: number) => boolean;

type Matcher = (host: string, address: Address | undefined) => boolean;

/**
 * Entries part at commas or white space: a name, which stands for those below it, too, with or without `.` or `*.` in front; an address,
 * `[::1]`; both with or without `:port`; a block, `10.0.0.0/8`; `*` for all. What is none of these matches nothing.
 */
export function readNoProxy(text = ""): NoProxy {
  const entries = entriesOf(text).map(readEntry);
  return (host, port) => {
    const address = parseAddress(host);
    const name = spellingOf(host);
    return entries.some(
      (entry) => (entry.port === undefined || entry.port === port) && entry.matches(name, address),
    );
  };
}

/** The entries that can't be read, and so match nothing. An entry that may not be a host's name is given by its position. */
export function unreadableEntries(text = ""): string[] {
  return entriesOf(text).flatMap((entry, i) => {
    if (readEntry(entry).matches !== nothing) return [];
    return [/^[\w.:/[\]*-]{1,80}$/.test(entry) ? entry : `entry ${i + 1}`];
  });
}

function entriesOf(text: string): string[] {
  return text.split(/[\s,]+/).filter((entry) => entry !== "");
}

const nothing: Matcher = () => false;

function readEntry(entry: string): { port: number | undefined; matches: Matcher } {
  const whole = matcherOf(entry);
  if (whole !== undefined) return { port: undefined, matches: whole };
  const [, host = "", port] = /^(.+):(\d{1,5})$/.exec(entry) ?? [];
  const matches = port === undefined ? undefined : matcherOf(host);
  return { port: Number(port), matches: matches ?? nothing };
}

function matcherOf(text: string): Matcher | undefined {
  if (text === "*") return () => true;
  const bare = text.replace(/^\[(.*)\]$/, "$1");
  const only = isAddress(bare) ? parseAddress(bare) : undefined;
  if (only !== undefined) return (_, address) => address?.toString() === only.toString();
  if (text.includes("/")) return blockOf(text);
  const name = spellingOf(text.replace(/^\*?\./, ""));
  if (name === "" || /[:[\]*]/.test(name)) return undefined;
  return (host, address) => address === undefined && (host === name || host.endsWith(`.${name}`));
}

function blockOf(text: string): Matcher | undefined {
  const [, base = "", bits] = /^([^/]+)\/(\d{1,3})$/.exec(text) ?? [];
  const network = isAddress(base) ? ipaddr.parse(base) : undefined;
  const width = network?.kind() === "ipv4" ? 32 : 128;
  if (network === undefined || Number(bits) > width) return undefined;
  return (_, address) =>
    address !== undefined &&
    // An IPv4-mapped block: dual-stack sockets write IPv4 addresses as IPv6.
    [address, mapped(address)].some(
      (form) => form.kind() === network.kind() && form.match(network, Number(bits)),
    );
}

function mapped(address: Address): Address {
  return address instanceof ipaddr.IPv4 ? address.toIPv4MappedAddress() : address;
}

/** IPv4 only with four decimal parts: none of these programs reads "1.2" as an address. */
function isAddress(text: string): boolean {
  return ipaddr.IPv4.isValidFourPartDecimal(text) || ipaddr.IPv6.isValid(text);
}

/** The canonical spelling of a name: lower case, ASCII (IDNA), without a trailing dot. */
function spellingOf(name: string): string {
  const bare = name.toLowerCase().replace(/\.$/, "");
  return domainToASCII(bare) || bare;
}
