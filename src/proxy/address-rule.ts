// Which upstream addresses we may connect to: public ones, and those that the operator has allowed. The rule judges the address itself,
// at the moment of connecting, so that DNS can't answer differently in between (DNS rebinding).
import { lookup } from "node:dns";
import { isIP, type LookupFunction } from "node:net";
import ipaddr from "ipaddr.js";
import type { Cidr } from "../platform/addresses.ts";

// Every other IPv6 range is special (RFC 4291, 2.4), even those that ipaddr.js has no name for (::127.0.0.1).
const GLOBAL_UNICAST = ipaddr.IPv6.parseCIDR("2000::/3");

/** The rule refuses an upstream's address. The message holds no address, since agents may see it. */
export class AddressRefusedError extends Error {
  override name = "AddressRefusedError";
  readonly code = "X3SPROXY_ADDRESS_REFUSED";

  constructor() {
    super("the upstream's address is not allowed");
  }
}

export interface AddressRule {
  /** Whether `address` (literal IPv4 or IPv6) may be connected to over https, or over plain http. */
  allows(address: string, protocol: "https:" | "http:"): boolean;
  /** What is wrong with an origin, judged without resolving its name; undefined: nothing. */
  originProblem(origin: string): string | undefined;
  /** A lookup for `net.connect` that yields allowed addresses only, or fails with AddressRefusedError. */
  lookup(protocol: "https:" | "http:"): LookupFunction;
}

/** Makes the rule. `allowed` is X3SPROXY_ALLOW_PRIVATE_UPSTREAMS: the only place for private addresses and plain http. */
export function createAddressRule(allowed: readonly Cidr[]): AddressRule {
  const listed = (address: ipaddr.IPv4 | ipaddr.IPv6): boolean =>
    allowed.some(
      ([block, bits]) => block.kind() === address.kind() && address.match([block, bits] as never),
    );
  const rule: AddressRule = {
    allows(text, protocol) {
      if (!ipaddr.isValid(text)) return false;
      const address = ipaddr.process(text); // IPv4-mapped IPv6 becomes IPv4
      if (listed(address) || listed(ipaddr.parse(text))) return true;
      if (protocol === "http:" || address.range() !== "unicast") return false;
      return address instanceof ipaddr.IPv4 || address.match(GLOBAL_UNICAST);
    },
    originProblem(origin) {
      const { protocol, hostname } = new URL(origin);
      const host = hostname.replace(/^\[|\]$/g, "");
      if (protocol !== "https:" && protocol !== "http:") return "only https origins are allowed";
      if (isIP(host) !== 0 && !rule.allows(host, protocol)) {
        return protocol === "http:"
          ? "plain http is allowed only to addresses listed in X3SPROXY_ALLOW_PRIVATE_UPSTREAMS; use https"
          : "this is a private address; the operator can allow it with X3SPROXY_ALLOW_PRIVATE_UPSTREAMS";
      }
      if (protocol === "http:" && allowed.length === 0) {
        return "plain http is not allowed: keys would travel in the clear; use https";
      }
      return undefined;
    },
    lookup: (protocol) => (hostname, options, callback) => {
      lookup(hostname, { ...options, all: true }, (error, addresses) => {
        if (error !== null) {
          callback(error, [], 0);
          return;
        }
        const good = addresses.filter(({ address }) => rule.allows(address, protocol));
        const first = good[0];
        if (first === undefined) callback(new AddressRefusedError(), [], 0);
        else if (options.all === true) callback(null, good);
        else callback(null, first.address, first.family);
      });
    },
  };
  return rule;
}
