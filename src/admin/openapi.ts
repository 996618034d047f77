// Makes the OpenAPI 3.1 document from the contract. Requests and answers are checked by the same schemas, so it can't be outdated.
import { STATUS_CODES } from "node:http";
import { z } from "zod";
import { API, problem, ROUTES, type RouteDeclaration } from "../contract/index.ts";

export type JsonSchema = z.core.JSONSchema.BaseSchema;

export interface OpenApiDocument {
  openapi: "3.1.1";
  info: { title: string; version: string; description: string };
  servers: { url: string }[];
  tags: { name: string }[];
  /** First by path, then by method in lower case. */
  paths: Record<string, Record<string, Operation>>;
  components: {
    schemas: Record<string, JsonSchema>;
    responses: Record<string, Response>;
    securitySchemes: Record<string, Record<string, string>>;
  };
}

export interface Operation {
  operationId: string;
  tags: string[];
  summary: string;
  /** Its last paragraph says who may use the route. */
  description: string;
  security: Record<string, never[]>[];
  parameters?: Parameter[];
  requestBody?: { required: boolean; content: Content };
  responses: Record<string, Response | { $ref: string }>;
}

export interface Parameter {
  name: string;
  in: "path" | "query" | "header";
  required: boolean;
  description?: string;
  schema: JsonSchema;
}

interface Response {
  description: string;
  headers?: Record<string, { description: string; schema: JsonSchema }>;
  content?: Content;
}

type Content = Record<string, { schema: JsonSchema; example?: object }>;

/** Each permission in words. */
const PERMISSIONS: Readonly<Record<RouteDeclaration["permission"] | "person", string>> = {
  viewer: "the role viewer, operator, admin or owner",
  operator: "the role operator, admin or owner",
  admin: "the role admin or owner",
  owner: "the role owner",
  audit: "the role auditor or owner",
  self: "any API key or signed-in user",
  person: "a signed-in user; no API key",
  link: "whoever holds the one-time token that the body names",
  public: "anybody",
};

/** Titles by the first part of a path, in the order of the reference. Paths that begin otherwise come last, by that part. */
const TAGS: Readonly<Record<string, string>> = {
  secrets: "Secrets",
  agents: "Agents",
  providers: "Providers",
  overview: "Activity",
  activity: "Activity",
  audit: "Audit",
  users: "Users",
  invitations: "Users",
  resets: "Users",
  "api-keys": "API keys",
  workspace: "Workspace",
  backups: "Backups",
  "sign-in": "Sign-in",
  "sign-out": "Sign-in",
  setup: "Sign-in",
  links: "Sign-in",
  me: "Sign-in",
  whoami: "Sign-in",
  "openapi.json": "This document",
};

const PROBLEM_MEANINGS: Readonly<Record<number, string>> = {
  400: "The request can't be read.",
  401: "The caller is not authenticated, or a proof is wrong.",
  403: "The caller may not do this.",
  404: "The caller's workspace has no such thing.",
  409: "The present state does not allow it.",
  413: "The body is too large.",
  415: "The body is not JSON.",
  422: "A part of the request is not valid.",
  429: "Too many attempts.",
  503: "The database is away, or the service is busy. Try again later.",
};
const RETRY_AFTER = { description: "Seconds to wait.", schema: { type: "integer" } } as const;

const INTRODUCTION =
  "The one way to manage x3sproxy: the command line and the dashboard use nothing else. Bodies and answers are JSON. " +
  "Times are ISO 8601 in UTC. No answer holds a real key, a password or a hash; a token or an API key is shown once, when it is made.";

/** Makes the document. `cookieName`: of the session. Throws if JSON Schema can't express a schema. */
export function openApiDocument(cookieName: string): OpenApiDocument {
  const schemas = createSchemas();
  const paths: OpenApiDocument["paths"] = {};
  const tags = new Set(Object.values(TAGS));
  const used = new Set<string>();
  for (const [name, route] of Object.entries(ROUTES)) {
    const [method = "", path = ""] = name.split(" ");
    const operation = operationOf(method, path, route, schemas);
    for (const tag of operation.tags) {
      tags.add(tag);
      used.add(tag);
    }
    (paths[templateOf(path)] ??= {})[method.toLowerCase()] = operation;
  }
  const problemSchema = schemas.of(z.object({ problem }), "output").properties?.["problem"];
  return {
    openapi: "3.1.1",
    info: { title: "x3sproxy", version: "1", description: INTRODUCTION },
    servers: [{ url: API }],
    tags: [...tags].filter((name) => used.has(name)).map((name) => ({ name })),
    paths,
    components: {
      schemas: schemas.shared,
      responses: {
        ...Object.fromEntries(
          Object.entries(PROBLEM_MEANINGS).map(([status, meaning]) => [
            responseName(Number(status)),
            problemResponse(meaning, problemSchema, status === "429" || status === "503"),
          ]),
        ),
        Problem: problemResponse("Any other problem.", problemSchema, false),
      },
      securitySchemes: {
        apiKey: { type: "http", scheme: "bearer", description: "An API key, `x3skey_…`." },
        session: {
          type: "apiKey",
          in: "cookie",
          name: cookieName,
          description: "A signed-in browser's. Worth nothing without the session's secret.",
        },
        sessionSecret: {
          type: "apiKey",
          in: "header",
          name: "X3sproxy-Session",
          description:
            "With the cookie, on every request: `sessionSecret` of the answer that began the session.",
        },
      },
    },
  };
}

/** A permission as a phrase. */
export function permissionInWords({ permission, fresh }: RouteDeclaration): string {
  const proof = fresh === true ? ", proved within the last 5 minutes where it is a session" : "";
  return PERMISSIONS[permission] + proof;
}

function operationOf(
  method: string,
  path: string,
  route: RouteDeclaration,
  schemas: Schemas,
): Operation {
  const { summary, description, body, answer, example, streams } = route;
  const success = route.success ?? [(answer ?? streams) === undefined ? 204 : 200];
  const parameters = [
    ...parametersOf(route.params, "path", schemas),
    ...parametersOf(route.query, "query", schemas),
    ...parametersOf(route.headers, "header", schemas),
  ];
  const bodySchema = body && schemas.of(body, "input");
  return {
    operationId: operationId(method, path),
    tags: [tagOf(path)],
    summary,
    description: `${description === undefined ? "" : `${description}\n\n`}For ${permissionInWords(route)}.`,
    security: securityOf(route),
    ...(parameters.length > 0 && { parameters }),
    ...(bodySchema && {
      requestBody: {
        required: (bodySchema.required ?? []).length > 0,
        content: {
          "application/json": { schema: bodySchema, ...(example !== undefined && { example }) },
        },
      },
    }),
    responses: {
      ...Object.fromEntries(
        success.map((status): [string, Response] => [
          String(status),
          {
            description: STATUS_CODES[status] ?? "",
            ...(answer && {
              content: { "application/json": { schema: schemas.of(answer, "output") } },
            }),
            ...(streams !== undefined && {
              content: Object.fromEntries([streams].flat().map((type) => [type, { schema: {} }])),
            }),
          },
        ]),
      ),
      ...Object.fromEntries(
        problemsOf(route, method).map((status) => [
          String(status),
          { $ref: `#/components/responses/${responseName(status)}` },
        ]),
      ),
      default: { $ref: "#/components/responses/Problem" },
    },
  };
}

/** The problem statuses that follow from a route's declaration. */
function problemsOf(route: RouteDeclaration, method: string): number[] {
  const { permission, params, query, headers, body } = route;
  const isOpen = permission === "public";
  const statuses = new Set<number>();
  if (!isOpen) for (const status of [401, 429, 503]) statuses.add(status);
  if (!isOpen && permission !== "link" && permission !== "self") statuses.add(403);
  if (params !== undefined) statuses.add(404);
  if (query !== undefined || headers !== undefined) statuses.add(422);
  if (body !== undefined) for (const status of [400, 413, 415, 422]) statuses.add(status);
  if (!isOpen && method !== "GET") statuses.add(409);
  return [...statuses].sort((a, b) => a - b);
}

function securityOf({ permission }: RouteDeclaration): Operation["security"] {
  const kind: string = permission;
  if (kind === "public" || kind === "link") return [];
  const session = { session: [], sessionSecret: [] };
  return kind === "person" ? [session] : [{ apiKey: [] }, session];
}

function parametersOf(
  schema: z.ZodType | undefined,
  place: Parameter["in"],
  schemas: Schemas,
): Parameter[] {
  if (schema === undefined) return [];
  const { properties = {}, required = [] } = schemas.of(schema, "input");
  return Object.entries(properties).map(([name, property]) => {
    const { description, ...rest } = property as JsonSchema;
    return {
      name: place === "header" ? name.replace(/(^|-)[a-z]/g, (text) => text.toUpperCase()) : name,
      in: place,
      required: place === "path" || required.includes(name),
      ...(description !== undefined && { description }),
      schema: rest,
    };
  });
}

interface Schemas {
  /** Schemas with an id, by that id. Each call of `of` adds those that it meets. */
  readonly shared: Record<string, JsonSchema>;
  of(schema: z.ZodType, io: "input" | "output"): JsonSchema;
}

function createSchemas(): Schemas {
  const shared: Record<string, JsonSchema> = {};
  return {
    shared,
    of(schema, io) {
      const made = z.toJSONSchema(schema, {
        io,
        override: ({ jsonSchema }) => {
          // Answers may get more fields later. Leave out patterns that only repeat a format, and the bounds that every number has.
          if (io === "output" && jsonSchema.additionalProperties === false) {
            delete jsonSchema.additionalProperties;
          }
          if (jsonSchema.format !== undefined) delete jsonSchema.pattern;
          if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
          if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
        },
      });
      const text = JSON.stringify(made, (key, value: unknown) =>
        key === "$schema" || (key === "id" && typeof value === "string") ? undefined : value,
      ).replaceAll('"#/$defs/', '"#/components/schemas/');
      const { $defs = {}, ...rest } = JSON.parse(text) as JsonSchema;
      Object.assign(shared, $defs);
      return rest;
    },
  };
}

function problemResponse(
  description: string,
  problem: z.core.JSONSchema._JSONSchema | undefined,
  retries: boolean,
): Response {
  return {
    description,
    ...(retries && { headers: { "Retry-After": RETRY_AFTER } }),
    content: { "application/problem+json": { schema: problem as JsonSchema } },
  };
}

function responseName(status: number): string {
  return (STATUS_CODES[status] ?? "").replace(/[^A-Za-z]/g, "");
}

function tagOf(path: string): string {
  const [, first = ""] = path.split("/");
  return TAGS[first] ?? first.charAt(0).toUpperCase() + first.slice(1);
}

/** `/agents/:name` as `/agents/{name}`. */
export function templateOf(path: string): string {
  return path.replace(/:(\w+)/g, "{$1}");
}

/** `POST /agents/:name/deployments` as `postAgentsNameDeployments`. */
function operationId(method: string, path: string): string {
  const words = path.split(/[^A-Za-z0-9]+/).filter((word) => word !== "");
  return [
    method.toLowerCase(),
    ...words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)),
  ].join("");
}
