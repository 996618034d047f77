// Who may use the control plane: users with their passwords, second factors and sessions, API keys, roles and workspaces. Must never
// store a password, an API key, a session or a link in a form that can be used again, nor show a TOTP seed.
export { bootstrap } from "./bootstrap.ts";
export type { Caller, Client, Person, Session, SessionCredential } from "./caller.ts";
export type { SetupLink, WorkspaceSummary } from "./all-workspaces.ts";
export { createIdentity, type Identity } from "./identity.ts";
export type { ApiKeyView } from "./api-keys.ts";
export type { InvitationView } from "./invitations.ts";
export type { LatestFirst, Placed } from "./latest-first.ts";
export type { MeView } from "./account.ts";
export type { SessionView } from "./own-sessions.ts";
export type { UserView } from "./users.ts";
