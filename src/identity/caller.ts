// Who is asking the control plane, once that is known, and from where.
import type { Actor } from "../audit/index.ts";
import type { Role } from "../contract/index.ts";
import { RequestError } from "../platform/errors.ts";

export interface Caller {
  readonly kind: "user" | "api_key";
  readonly id: string;
  /** A user's e-mail address, or an API key's name. */
  readonly name: string;
  readonly workspaceId: string;
  readonly role: Role;
  /** The agents that the role is limited to, by name; null: it is not. */
  readonly agents: readonly string[] | null;
  /** Of a user. */
  readonly session?: Session;
  /** Whether it can do nothing before it has enrolled a second factor. */
  readonly mustEnrol: boolean;
}

export interface Session {
  readonly id: string;
  /** When the user last gave a password or a code, ISO 8601. */
  readonly provedAt: string;
  /** Whether that was within the last five minutes. */
  readonly fresh: boolean;
  /** ISO 8601. */
  readonly endsAt: string;
}

/** What a session is shown by. Neither part is worth anything without the other. */
export interface SessionCredential {
  /** The cookie's, which browsers send to every port of a host. */
  readonly value: string;
  /** What the dashboard's origin alone holds. Given out once, when the session begins or gets another value. */
  readonly secret: string;
}

/** A user who is signed in. */
export type Person = Caller & { readonly kind: "user"; readonly session: Session };

/** Where a request comes from. */
export interface Client {
  readonly address: string;
  /** What limits count: the IPv4 address, or the /64 of an IPv6 one. */
  readonly network: string;
  readonly userAgent: string | null;
}

/** The caller as the audit names it. */
export function actorFrom(caller: Caller, { address }: Pick<Client, "address">): Actor {
  const { workspaceId, kind, id, name } = caller;
  return { workspaceId, kind, id, name, address, method: kind === "user" ? "session" : "api_key" };
}

/** A user as the target of an audit event. */
export function userTarget({ id, email }: { id: string; email: string }) {
  return { kind: "user", id, name: email };
}

/** Throws RequestError 422 `agents_not_allowed` when `role` is one that can't be limited to agents. */
export function checkLimit(role: Role, agents: readonly string[] | null): void {
  if (agents === null || role === "viewer" || role === "operator") return;
  throw new RequestError(
    422,
    "agents_not_allowed",
    "Only a viewer or an operator can be limited to agents.",
  );
}
