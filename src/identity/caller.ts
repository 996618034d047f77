// The caller of a request to the control plane, once authenticated, and the client that sent it. Types, and how the audit names them.
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
  /** Only a user has one. */
  readonly session?: Session;
  /** Whether the user has to enrol a second factor before anything else. */
  readonly mustEnrol: boolean;
}

export interface Session {
  readonly id: string;
  /** When the user last proved who it is, by a password or a code, ISO 8601. */
  readonly provedAt: string;
  /** Whether that was in the last five minutes. */
  readonly fresh: boolean;
  /** ISO 8601. */
  readonly endsAt: string;
}

/** The credential of a session. Neither part is enough without the other. */
export interface SessionCredential {
  /** The cookie's value, which browsers send to every port of a host. */
  readonly value: string;
  /** Stored by the dashboard's origin alone. Given out once, when the session starts or its credential is renewed. */
  readonly secret: string;
}

/** A user who is signed in. */
export type Person = Caller & { readonly kind: "user"; readonly session: Session };

/** The client that sent a request. */
export interface Client {
  readonly address: string;
  /** The network that limits count by: an IPv4 address, or the /64 of an IPv6 address. */
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

/** Throws RequestError 422 `agents_not_allowed` when the role can't be limited to agents. */
export function checkLimit(role: Role, agents: readonly string[] | null): void {
  if (agents === null || role === "viewer" || role === "operator") return;
  throw new RequestError(
    422,
    "agents_not_allowed",
    "Only a viewer or an operator can be limited to agents.",
  );
}
