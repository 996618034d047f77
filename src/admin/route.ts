// Serves the routes of the contract. An answer is parsed by its schema, which drops every field that the schema lacks: a new field has to
// be added to the contract first.
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import {
  API,
  ROUTES,
  type ProblemCode,
  type Route,
  type RouteDeclaration,
  type Routes,
} from "../contract/index.ts";
import { RequestError } from "../platform/errors.ts";
import { describeIssues } from "./problem.ts";

type Parsed<Declaration, Part extends keyof RouteDeclaration> =
  Declaration extends Readonly<Record<Part, infer Schema extends z.ZodType>>
    ? z.output<Schema>
    : undefined;

/** What a handler gets: a request whose parts have passed their schemas. */
export interface RouteCall<Declaration> {
  readonly params: Parsed<Declaration, "params">;
  readonly query: Parsed<Declaration, "query">;
  readonly headers: Parsed<Declaration, "headers">;
  readonly body: Parsed<Declaration, "body">;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
}

type Result<Declaration> = Declaration extends { readonly answer: infer Answer extends z.ZodType }
  ? z.input<Answer>
  : unknown;

/** Makes the answer; a handler that streams sends it by itself. Without an answer in the contract its result is ignored. */
export type Handler<Declaration> = (
  call: RouteCall<Declaration>,
) => Promise<Result<Declaration>> | Result<Declaration>;

export type HandlersOf<Declarations extends Routes> = {
  readonly [Name in keyof Declarations]: Handler<Declarations[Name]>;
};

/** Adds every route of the contract. A request that doesn't fit its schemas is answered before the handler: 404 for params, else 422. */
export function addRoutes(app: FastifyInstance, handlers: HandlersOf<typeof ROUTES>): void {
  for (const name of Object.keys(ROUTES) as Route[]) {
    addRoute(app, name, ROUTES[name], handlers[name]);
  }
}

function addRoute(
  app: FastifyInstance,
  name: Route,
  route: RouteDeclaration,
  handle: Handler<RouteDeclaration>,
): void {
  const { permission, fresh, forAgent, forSession, emergency } = route;
  const { params, query, headers, body, answer, streams } = route;
  const [method = "", path = ""] = name.split(" ");
  app.route({
    method,
    url: API + path,
    // A HEAD request would make the whole stream and then drop it.
    exposeHeadRoute: streams === undefined,
    config: { permission, fresh, forAgent, forSession, emergency },
    handler: async (request, reply) => {
      const result: unknown = await handle({
        params: parseParams(params, request.params, route.unknown),
        query: query && parse(query, request.query),
        headers: headers?.parse(request.headers),
        // No body counts as an object without fields. `null` is a body, and the schema refuses it.
        body: body && parse(body, request.body === undefined ? {} : request.body),
        request,
        reply,
      } as RouteCall<RouteDeclaration>);
      if (streams !== undefined) return reply;
      if (answer === undefined) return reply.code(204).send();
      return answer.parse(result);
    },
  });
}

function parse(schema: z.ZodType, value: unknown): unknown {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const fields = schema instanceof z.ZodObject ? Object.keys(schema.shape) : [];
  throw new RequestError(422, "invalid_request", describeIssues(parsed.error, fields));
}

function parseParams(
  schema: z.ZodType | undefined,
  value: unknown,
  code: ProblemCode = "not_found",
): unknown {
  const parsed = schema?.safeParse(value);
  if (parsed?.success === false) {
    throw new RequestError(404, code, "There is nothing of this name.");
  }
  return parsed?.data;
}
