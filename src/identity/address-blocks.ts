// Blocks of addresses that an API key may be used from, in CIDR form.
import ipaddr from "ipaddr.js";

/** `text` (a block, or one address) in its one spelling; undefined when it is neither. */
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

/** Whether `address` lies in one of `blocks`. IPv4-mapped addresses count as IPv4. */
export function holds(blocks: readonly string[], address: string): boolean {
  if (!ipaddr.isValid(address)) return false;
  const parsed = ipaddr.process(address);
  return blocks.some((block) => {
    const [network, bits] = ipaddr.parseCIDR(block);
    return network.kind() === parsed.kind() && parsed.match(network, bits);
  });
}
