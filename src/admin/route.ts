// How a route of the REST API is declared: who may use it, what it takes, what it gives. An answer passes through its schema, so
// that what is not in the schema does not leave. The declarations are also what the OpenAPI document and the tests are made of.
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import { RequestError, type ProblemCode } from "../errors.ts";
import type { RouteRule } from "./authentication.ts";
import { describeIssues } from "./problem.ts";

export const API = "/api/v1";

declare module "fastify" {
  interface FastifyInstance {
    /** All that have been added so far. */
    declaredRoutes: RouteDeclaration[];
  }
}

export interface RouteDeclaration extends RouteRule {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Below /api/v1; `:name` stands for a parameter. */
  readonly path: string;
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
  /** Absent: 204. */
  readonly answer?: z.ZodType;
  /** The media type, or types, of an answer that is a stream, which `handle` sends by itself. */
  readonly streams?: string | readonly string[];
  /** The statuses of a success; absent: 200, or 204 without an answer. */
  readonly success?: readonly (200 | 201 | 204)[];
}

/** What a handler gets. */
export interface RouteCall<Params, Query, Headers, Body> {
  readonly params: Params;
  readonly query: Query;
  readonly headers: Headers;
  readonly body: Body;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
}

interface Route<
  Params extends z.ZodType,
  Query extends z.ZodType,
  Headers extends z.ZodType,
  Body extends z.ZodType,
  Answer extends z.ZodType,
> extends RouteDeclaration {
  readonly params?: Params;
  readonly query?: Query;
  readonly headers?: Headers;
  readonly body?: Body;
  readonly answer?: Answer;
  handle(
    call: RouteCall<z.output<Params>, z.output<Query>, z.output<Headers>, z.output<Body>>,
  ): Promise<z.input<Answer>> | z.input<Answer>;
}

/** Adds a route. What is declared wrong with a request is answered before `handle` is called: 404 for params, else 422. */
export function addRoute<
  Params extends z.ZodType = z.ZodType<undefined>,
  Query extends z.ZodType = z.ZodType<undefined>,
  Headers extends z.ZodType = z.ZodType<undefined>,
  Body extends z.ZodType = z.ZodType<undefined>,
  Answer extends z.ZodType = z.ZodType<undefined>,
>(app: FastifyInstance, route: Route<Params, Query, Headers, Body, Answer>): void {
  const { method, path, permission, fresh, forAgent, forSession, emergency } = route;
  const { params, query, headers, body, answer, streams } = route;
  if (!app.hasDecorator("declaredRoutes")) app.decorate("declaredRoutes", []);
  app.declaredRoutes.push(route);
  app.route({
    method,
    url: API + path,
    // A HEAD would make all of it, for nobody.
    exposeHeadRoute: streams === undefined,
    config: { permission, fresh, forAgent, forSession, emergency },
    handler: async (request, reply) => {
      const call = {
        params: parseParams(params, request.params, route.unknown),
        query: query && parse(query, request.query),
        headers: headers?.parse(request.headers),
        // Without any body all fields are absent; `null` is a body, and none of ours.
        body: body && parse(body, request.body === undefined ? {} : request.body),
        request,
        reply,
      } as RouteCall<z.output<Params>, z.output<Query>, z.output<Headers>, z.output<Body>>;
      const result = await route.handle(call);
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
