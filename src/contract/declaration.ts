// How a route of the REST API is declared: who may use it, its request, its answer. The service serves the declarations, the OpenAPI document
// is made from them, and the command line and the dashboard take their types from them.
import type { z } from "zod";
import type { RoutePermission } from "./permissions.ts";
import type { ProblemCode } from "./problems.ts";

export type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

/** What a route demands of its caller. */
export interface RouteRule {
  readonly permission: RoutePermission;
  /** Whether the session must have given a proof within the last five minutes. */
  readonly fresh?: boolean | undefined;
  /** Whether its `:name` is an agent's name. A caller who is limited to agents may use it only for those. */
  readonly forAgent?: boolean | undefined;
  /** Whether it leads to a session. Then a browser must use HTTPS, or be on this machine. */
  readonly forSession?: boolean | undefined;
  /** Whether it works even if the caller's limits are used up. */
  readonly emergency?: boolean | undefined;
}

export interface RouteDeclaration extends RouteRule {
  /** What the route does: a short sentence without a full stop. */
  readonly summary: string;
  /** More about it, in complete sentences. */
  readonly description?: string;
  readonly params?: z.ZodType;
  /** The code of the 404 for malformed path parameters. */
  readonly unknown?: ProblemCode;
  readonly query?: z.ZodType;
  /** The request headers that it reads, by their lower-case names. */
  readonly headers?: z.ZodType;
  readonly body?: z.ZodType;
  /** An example of the body, for the reference. Must not look like a real credential. */
  readonly example?: object;
  /** The answer's schema. Fields that it lacks don't leave the service. Absent: 204. */
  readonly answer?: z.ZodType;
  /** The media types of a streamed answer. */
  readonly streams?: string | readonly string[];
  /** The statuses of success. Absent: 200, or 204 without an answer. */
  readonly success?: readonly (200 | 201 | 204)[];
}

/** Declarations by method and path below /api/v1; `:name` in a path stands for a parameter. */
export type Routes = Readonly<Record<`${Method} /${string}`, RouteDeclaration>>;
