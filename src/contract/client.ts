// What a client of the REST API needs: the types of each route's request and answer, and the request's method and path. Must not load a schema
// at run time, since the dashboard is built with this file.
import type { z } from "zod";
import type { Method, RouteDeclaration } from "./declaration.ts";
import type { ROUTES } from "./routes.ts";

export type * from "./account.ts";
export type * from "./activity.ts";
export type * from "./agent-tokens.ts";
export type * from "./agents.ts";
export type * from "./api-keys.ts";
export type * from "./audit.ts";
export type * from "./installation.ts";
export type * from "./problems.ts";
export type * from "./providers.ts";
export type * from "./secrets.ts";
export type * from "./users.ts";
export type * from "./workspace.ts";
export type { Method } from "./declaration.ts";
export * from "./permissions.ts";

/** The prefix of all routes' paths. */
export const API = "/api/v1";

/** The header that carries the secret of the session whose cookie comes with it. */
export const SESSION_HEADER = "x3sproxy-session";

/** A route by its method and path, as `GET /agents/:name`. */
export type Route = keyof typeof ROUTES;

type Of<R extends Route, Part extends keyof RouteDeclaration> =
  (typeof ROUTES)[R] extends Readonly<Record<Part, infer Schema extends z.ZodType>>
    ? Schema
    : undefined;

/** The names of the parameters in a path. */
type Names<Path extends string> = Path extends `${string}:${infer Name}/${infer Rest}`
  ? Name | Names<Rest>
  : Path extends `${string}:${infer Name}`
    ? Name
    : never;

type Params<R extends Route> = [Names<R>] extends [never]
  ? { readonly params?: undefined }
  : { readonly params: Readonly<Record<Names<R>, string>> };

type Query<R extends Route> =
  Of<R, "query"> extends z.ZodType
    ? {
        readonly query?: {
          readonly [Name in keyof z.input<Of<R, "query">>]?: string | number | undefined;
        };
      }
    : { readonly query?: undefined };

/** The same type, deeply read-only. */
type Sent<Value> = Value extends readonly (infer Each)[]
  ? readonly Sent<Each>[]
  : Value extends object
    ? { readonly [Name in keyof Value]: Sent<Value[Name]> }
    : Value;

type Body<R extends Route> =
  Of<R, "body"> extends z.ZodType
    ? Record<string, never> extends z.input<Of<R, "body">>
      ? { readonly body?: Sent<z.input<Of<R, "body">>> }
      : { readonly body: Sent<z.input<Of<R, "body">>> }
    : { readonly body?: undefined };

/** The parts of a route's request. */
export type RequestOf<R extends Route> = Params<R> & Query<R> & Body<R>;

/** A route's successful answer; undefined if it is empty. */
export type AnswerOf<R extends Route> =
  Of<R, "answer"> extends z.ZodType ? z.output<Of<R, "answer">> : undefined;

/** The arguments after the route of a function that calls it: one, which is optional if none of its members is required. */
export type CallArguments<R extends Route, Options> =
  Record<string, never> extends RequestOf<R>
    ? [request?: RequestOf<R> & Options]
    : [request: RequestOf<R> & Options];

/** The values in a request's path and query. */
export interface RequestParts {
  readonly params?: Readonly<Record<string, string>> | undefined;
  readonly query?: Readonly<Record<string, string | number | undefined>> | undefined;
}

/** The method and the path, below the API's, of a request. */
export function requestLine(
  route: Route,
  { params = {}, query = {} }: RequestParts = {},
): { readonly method: Method; readonly path: string } {
  const [method = "", template = ""] = route.split(" ");
  const path = template.replace(/:(\w+)/g, (_all, name: string) =>
    encodeURIComponent(params[name] ?? ""),
  );
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) search.set(name, String(value));
  }
  return {
    method: method as Method,
    path: search.size === 0 ? path : `${path}?${search.toString()}`,
  };
}
