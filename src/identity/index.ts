// Who may use the control plane: users with their passwords, second factors and sessions, API keys, roles. Must never keep a
// password, a key, a session's value or a link in a form that could be used again, nor show a seed.
export { bootstrap } from "./bootstrap.ts";
export type { Caller, Client, Person, Session, SessionCredential } from "./caller.ts";
export type { SetupLink, WorkspaceSummary } from "./all-workspaces.ts";
export { createIdentity, type Identity } from "./identity.ts";
export type { ApiKeyView } from "./api-keys.ts";
export type { InvitationView } from "./invitations.ts";
export type { LatestFirst, Placed } from "./latest-first.ts";
export type { MeView } from "./me.ts";
export type { SessionView } from "./own-sessions.ts";
export type { UserView } from "./users.ts";
