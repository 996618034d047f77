// Who may use the control plane: API keys, users and their passwords, roles. Must never keep a key, a password or
// a setup token in a form that could be used again.
export { bootstrap } from "./bootstrap.ts";
export { createIdentity, type ApiKey, type Identity } from "./identity.ts";
export { roleAllows, type Permission, type Role } from "./roles.ts";
