// The client of the admin API. Must send X3SPROXY_API_KEY nowhere but to the configured URL.
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { readClientConfig, type ClientConfig } from "../platform/config.ts";
import {
  API,
  problem,
  requestLine,
  ROUTES,
  type AnswerOf,
  type CallArguments,
  type RequestOf,
  type RequestParts,
  type Route,
  type RouteDeclaration,
} from "../contract/index.ts";
import { Failure } from "./failure.ts";
import { ownService, whereKeysComeFrom, type Service } from "./own-service.ts";

const TIMEOUT_MS = 15_000;
// A stream may take longer to begin.
const FIRST_BYTE_MS = 60_000;
// Longer than any list; a service that lies must not fill our memory.
const MAX_PAGES = 1_000;
const RETRY_AFTER_MS = 1_000;
const MAX_RETRY_AFTER_MS = 5_000;

const problemBody = problem.pick({ detail: true, code: true, candidate: true });

/** The lists that are read whole. */
type ListRoute = "GET /agents" | "GET /secrets" | "GET /users";

/** All rows of a list, page after page. */
export async function list<R extends ListRoute, Row>(
  route: R,
  rowsOf: (page: AnswerOf<R>) => readonly Row[],
): Promise<Row[]> {
  const rows: Row[] = [];
  const cursors = new Set<string>();
  for (let cursor: string | undefined; ;) {
    const page = await send<AnswerOf<R> & { nextCursor: string | null }>(route, {
      query: { cursor },
    });
    rows.push(...rowsOf(page));
    if (page.nextCursor === null) return rows;
    cursor = page.nextCursor;
    if (cursors.has(cursor) || cursors.size === MAX_PAGES) {
      throw new Failure("list_without_end", "The service's list does not end: its pages repeat.");
    }
    cursors.add(cursor);
  }
}

interface CallOptions {
  readonly idempotencyKey?: string;
  readonly deadlineMs?: number;
}

/**
 * Calls the admin API once. The answer is checked against the contract, which allows additional fields. With an `idempotencyKey` the call
 * is repeated once if there was no answer, or a 503. Throws Failure with a sentence that says what to do.
 */
export async function call<R extends Route>(
  route: R,
  ...[request]: CallArguments<R, CallOptions>
): Promise<AnswerOf<R>> {
  return send(route, request ?? {});
}

async function send<Answer>(
  route: Route,
  {
    idempotencyKey,
    deadlineMs = TIMEOUT_MS,
    body,
    ...parts
  }: CallOptions & RequestParts & { readonly body?: unknown },
): Promise<Answer> {
  const service = await findService();
  const request: ApiRequest = {
    ...requestLine(route, parts),
    ...{ body, idempotencyKey, deadlineMs },
  };
  const response = await (idempotencyKey === undefined ? sendOnce : sendTwice)(service, request);
  const answer = parseJson(response.text);
  const { answer: schema = z.undefined() }: RouteDeclaration = ROUTES[route];
  if (response.ok && schema.safeParse(answer).success) return answer as Answer;
  throw failureOf(service, response, answer);
}

/**
 * Streams a route's answer. Throws Failure, also in the middle: an answer that breaks off is not complete. `type`: the media type that is
 * expected.
 */
export async function* download<R extends "GET /audit/export" | "POST /backups">(
  route: R,
  { body, ...parts }: RequestOf<R>,
  type: string,
): AsyncGenerator<Uint8Array> {
  const { method, path } = requestLine(route, parts);
  const service = await findService();
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), FIRST_BYTE_MS);
  const response = await service
    .fetch(API + path, {
      method,
      headers: {
        authorization: `Bearer ${service.apiKey}`,
        ...(body !== undefined && { "content-type": "application/json" }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      signal: late.signal,
    })
    .catch((error: unknown) => {
      throw unreachable(service, error);
    })
    .finally(() => clearTimeout(timer));
  const { ok, status, headers, body: stream } = response;
  if (!ok || stream === null || headers.get("content-type")?.startsWith(type) !== true) {
    throw failureOf(service, { ok, status }, parseJson(await response.text()));
  }
  try {
    for await (const chunk of stream) yield chunk;
  } catch {
    throw new Failure(
      "broken_off",
      "The answer broke off before its end: it isn't whole. Try again.",
    );
  }
}

/** The service that the settings name if X3SPROXY_API_KEY is set, else that of the data folder. Throws Failure. */
async function findService(): Promise<Reached> {
  const service = await nameService();
  // A header can't hold such a key, and fetch would fail as if the service were away.
  if (!/^[!-~]+$/.test(service.apiKey)) {
    throw new Failure(
      "api_key_malformed",
      "The API key has a line break, a space or another character that no key has: take the key of one line.",
    );
  }
  return service;
}

async function nameService(): Promise<Reached> {
  const config = readClientConfig();
  const { apiKey, dataDir } = config;
  if (apiKey === undefined) return { dataDir, ...(await ownService(config)) };
  const { url } = config.adminUrl;
  return {
    ...{ apiKey, dataDir, name: url },
    hint: "If it is elsewhere: X3SPROXY_ADMIN_URL=https://… names it.",
    fetch: (path, request) => fetch(url + path, { ...request, redirect: "manual" }),
  };
}

type Reached = Service & Pick<ClientConfig, "dataDir">;

function failureOf(
  { name, dataDir }: Reached,
  { ok, status }: { readonly ok: boolean; readonly status: number },
  answer: unknown,
): Failure {
  const parsed = problemBody.safeParse(answer);
  if (!ok && parsed.success) {
    const { code, detail, candidate } = parsed.data;
    return new Failure(
      code,
      status === 401 ? `The API key was refused. ${whereKeysComeFrom(dataDir)}` : detail,
      candidate,
    );
  }
  return new Failure(
    "unexpected_answer",
    `${capitalised(name)} answered ${status}, but not as this version of x3sproxy does.\n` +
      "Does X3SPROXY_ADMIN_URL name its admin address?",
  );
}

interface ApiRequest {
  readonly method: string;
  readonly path: string;
  readonly body: unknown;
  readonly idempotencyKey: string | undefined;
  readonly deadlineMs: number;
}

interface ApiAnswer {
  readonly ok: boolean;
  readonly status: number;
  /** The Retry-After field as it came: seconds. */
  readonly retryAfter: string | null;
  readonly text: string;
}

/** Sends the request, and once more if there is no answer or the service is busy. */
async function sendTwice(service: Reached, request: ApiRequest): Promise<ApiAnswer> {
  const first = await sendOnce(service, request).catch((error: unknown) => {
    if (error instanceof Failure && error.code === "unreachable") return undefined;
    throw error;
  });
  if (first !== undefined && first.status !== 503) return first;
  const askedMs = Number(first?.retryAfter ?? Number.NaN) * 1000;
  await sleep(Number.isFinite(askedMs) ? Math.min(askedMs, MAX_RETRY_AFTER_MS) : RETRY_AFTER_MS);
  return sendOnce(service, request);
}

async function sendOnce(service: Reached, request: ApiRequest): Promise<ApiAnswer> {
  const { method, path, body, idempotencyKey, deadlineMs } = request;
  try {
    const response = await service.fetch(API + path, {
      method,
      headers: {
        authorization: `Bearer ${service.apiKey}`,
        ...(body !== undefined && { "content-type": "application/json" }),
        ...(idempotencyKey !== undefined && { "idempotency-key": idempotencyKey }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(deadlineMs),
    });
    const { ok, status, headers } = response;
    return { ok, status, retryAfter: headers.get("retry-after"), text: await response.text() };
  } catch (error) {
    throw unreachable(service, error);
  }
}

function unreachable({ name, hint }: Reached, error: unknown): Failure {
  if (error instanceof Failure) return error;
  if (isCertificateError(error)) {
    return new Failure(
      "certificate_refused",
      `The certificate shown at ${name} is not trusted, or is for another name.\n` +
        "NODE_EXTRA_CA_CERTS=<file> adds an authority; X3SPROXY_ADMIN_URL=https://… names the host that it is for.",
    );
  }
  return new Failure(
    "unreachable",
    `${capitalised(name)} does not answer. Is \`npm start\` running?\n${hint}`,
  );
}

/** Whether a call failed because the server's certificate was not accepted (by OpenSSL's and Node's codes). */
function isCertificateError(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined;
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  return /CERT|SELF_SIGNED|ALTNAME|UNABLE_TO_/.test(code);
}

function parseJson(text: string): unknown {
  try {
    return text === "" ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}

function capitalised(name: string): string {
  return name.replace(/^the /, "The ");
}
