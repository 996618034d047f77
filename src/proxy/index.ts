// The data plane's door.
export { AddressRefusedError, createAddressRule, type AddressRule } from "./address-rule.ts";
export { createProxy, type Proxy, type ProxyOptions } from "./server.ts";
export { createForwardProxy, type ForwardProxy } from "./forward-proxy.ts";
export { createProbe, type Probe, type ProbeCall } from "./probe.ts";
