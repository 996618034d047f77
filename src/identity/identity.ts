// Puts the room together from its parts. Holds no logic of its own.
import type { Clock } from "../platform/clock.ts";
import type { Pool } from "../db/index.ts";
import type { Vault } from "../vault/index.ts";
import { createAccount, type Account } from "./account.ts";
import { createApiKeys, type ApiKeys } from "./api-keys.ts";
import { createAllWorkspaces, type AllWorkspaces } from "./all-workspaces.ts";
import { createAttempts } from "./attempts.ts";
import type { Caller } from "./caller.ts";
import { createCallers, type Callers } from "./callers.ts";
import { createInvitations, type Invitations } from "./invitations.ts";
import { createLinks, type Links } from "./links.ts";
import { createMe, type MeView } from "./account.ts";
import { createOwnSessions, type OwnSessions } from "./own-sessions.ts";
import { createPasswordHasher } from "./passwords.ts";
import { createProofs } from "./proofs.ts";
import { createSecondFactors } from "./second-factors.ts";
import { createSignIn, type SignIn } from "./sign-in.ts";
import { createUsers, type Users } from "./users.ts";
import { createVerifications } from "./credentials.ts";
import { createWorkspaces, type Workspaces } from "./workspaces.ts";

/** Every function rejects with RequestError for a mistake of the caller, and with StoreUnavailableError when the database can't be reached. */
export interface Identity extends Callers, SignIn {
  me(caller: Caller): Promise<MeView>;
  readonly account: Account;
  readonly ownSessions: OwnSessions;
  readonly links: Links;
  readonly users: Users;
  readonly invitations: Invitations;
  readonly apiKeys: ApiKeys;
  readonly workspaces: Workspaces;
  readonly allWorkspaces: AllWorkspaces;
}

/** `pool`: of the control role. */
export function createIdentity(o: {
  pool: Pool;
  vault: Pick<Vault, "sealSeed" | "matchingStep">;
  clock: Clock;
}): Identity {
  const passwords = createPasswordHasher();
  const secondFactors = createSecondFactors(o);
  const attempts = createAttempts(o);
  const verifications = createVerifications();
  const shared = { ...o, attempts, passwords, secondFactors, verifications };
  const proofs = createProofs(shared);
  return {
    ...createCallers(shared),
    ...createSignIn(shared),
    me: createMe(o),
    account: createAccount({ ...shared, proofs }),
    ownSessions: createOwnSessions(o),
    links: createLinks({ ...shared, proofs }),
    users: createUsers(o),
    invitations: createInvitations(o),
    apiKeys: createApiKeys(o),
    workspaces: createWorkspaces(o),
    allWorkspaces: createAllWorkspaces(o),
  };
}
