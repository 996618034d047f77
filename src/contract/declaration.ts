// How a route of the REST API is declared: who may use it, what it takes, what it gives. The service registers the declarations, its OpenAPI
// document is made of them, and the command line and the dashboard take their types from them.
import type { z } from "zod";
import type { RoutePermission } from "./permissions.ts";
import type { ProblemCode } from "./problems.ts";

export type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

/** What a route asks of its caller. */
export interface RouteRule {
  readonly permission: RoutePermission;
  /** Whether a session's last proof must be younger than five minutes. */
  readonly fresh?: boolean | undefined;
  /** Whether its `:name` names an agent, which a caller limited to agents needs to be limited to. */
  readonly forAgent?: boolean | undefined;
  /** Whether it makes a session, or leads to one: then a browser has to come by https, or from this machine. */
  readonly forSession?: boolean | undefined;
  /** Whether it has to work whatever limits its caller has used up. */
  readonly emergency?: boolean | undefined;
}

export interface RouteDeclaration extends RouteRule {
  /** What it does, in a short sentence without a full stop. */
  readonly summary: string;
  /** More than the summary says, in whole sentences. */
  readonly description?: string;
  readonly params?: z.ZodType;
  /** The code of the 404 for parameters that can't name anything. */
  readonly unknown?: ProblemCode;
  readonly query?: z.ZodType;
  /** The headers of its own that it reads, by their lower-case names. */
  readonly headers?: z.ZodType;
  readonly body?: z.ZodType;
  /** A body, for the reference. Must hold nothing that looks like a real credential. */
  readonly example?: object;
  /** What is not in it does not leave the service. Absent: 204. */
  readonly answer?: z.ZodType;
  /** The media type, or types, of an answer that is a stream. */
  readonly streams?: string | readonly string[];
  /** The statuses of a success; absent: 200, or 204 without an answer. */
  readonly success?: readonly (200 | 201 | 204)[];
}

/** Declarations by method and path below /api/v1; `:name` in a path stands for a parameter. */
export type Routes = Readonly<Record<`${Method} /${string}`, RouteDeclaration>>;
