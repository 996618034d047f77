// The control plane's HTTP side. Must never put a secret, a hash or a token into an answer, except a new token, once.
export { createAdmin, type Admin, type AdminOptions } from "./server.ts";
export { plainOverNetwork } from "./addresses.ts";
