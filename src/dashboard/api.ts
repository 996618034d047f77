// The client of the REST API: same origin, with the session's cookie and secret. Problem documents become errors, and a fresh proof is asked
// for when needed. Must never send anything to another origin, or keep an answer or a typed value.
import {
  API,
  requestLine,
  SESSION_HEADER,
  type AnswerOf,
  type CallArguments,
  type Candidate,
  type Method,
  type ProblemCode,
  type RequestOf,
  type RequestParts,
  type Route,
} from "../contract/client.ts";
import { fits, type AnswerShapes } from "./answer-shapes.ts";
import type { SessionSecret } from "./session-secret.ts";
import { machineMs, setClockBy } from "./time.ts";
import { escapeHidden } from "./visible-text.ts";

const TIMEOUT_MS = 30_000;

/** An error with a sentence for the user. `code` is stable. `status` is 0 if there was no answer. */
export class ApiProblem extends Error {
  readonly status: number;
  readonly code: string;
  /** Seconds to wait before a new try. */
  readonly retryAfterS: number | undefined;
  /** The version of a new key that was saved but not made active. */
  readonly candidate: Candidate | undefined;

  constructor(
    status: number,
    code: string,
    detail: string,
    retryAfterS?: number,
    candidate?: ApiProblem["candidate"],
  ) {
    super(detail);
    this.name = "ApiProblem";
    this.status = status;
    this.code = code;
    this.retryAfterS = retryAfterS;
    this.candidate = candidate;
  }
}

interface CallOptions {
  readonly idempotencyKey?: string;
  readonly signal?: AbortSignal;
}

/** Calls the API once. Rejects with ApiProblem. */
export type Call = <R extends Route>(
  route: R,
  ...request: CallArguments<R, CallOptions>
) => Promise<AnswerOf<R>>;

/** How the app reacts to answers about the session as a whole. */
export interface SessionEvents {
  signedOut(): void;
  secondFactorRequired(): void;
  /** Asks for a password or code. Resolves once the session has a fresh proof; rejects with ApiProblem `not_proved`. */
  prove(): Promise<void>;
}

// The calling page handles these. Any other 401 means that the session has ended.
const NOT_ABOUT_THE_SESSION: ReadonlySet<string> = new Set<ProblemCode>([
  "sign_in_refused",
  "second_factor_needed",
  "proof_refused",
  "link_invalid",
  "setup_link_invalid",
]);

/** `secret`: the store of the session's secret. `shapes`: what answers must contain. */
export function createCall(
  events: SessionEvents,
  secret: SessionSecret,
  shapes: AnswerShapes,
): Call {
  const send = createSend(events, secret);
  return async <R extends Route>(
    route: R,
    ...[request = {}]: readonly [request?: SendOptions & RequestParts]
  ) => {
    const { method, path } = requestLine(route, request);
    const response = await send(method, path, request);
    const body = await bodyOf(response);
    const { sessionSecret } = (body ?? {}) as { sessionSecret?: unknown };
    if (typeof sessionSecret === "string") secret.set(sessionSecret);
    if (route === "POST /sign-out") secret.remove();
    const shape = shapes[route];
    if (shape === undefined || fits(shape, body)) return body as AnswerOf<R>;
    throw new ApiProblem(
      0,
      "unexpected_answer",
      "The service answered in a way that this page does not know. Reload the page: one of them may be older.",
    );
  };
}

/** Downloads a file. Rejects with ApiProblem, also if it breaks off. */
export type Download = <R extends "GET /audit/export">(
  route: R,
  request: RequestOf<R>,
) => Promise<{ name: string; content: Blob }>;

export function createDownload(events: SessionEvents, secret: SessionSecret): Download {
  const send = createSend(events, secret);
  return async (route, request) => {
    const { method, path } = requestLine(route, request);
    const response = await send(method, path, { takesLong: true });
    const disposition = response.headers.get("content-disposition") ?? "";
    try {
      return {
        name: /filename="([^"]+)"/.exec(disposition)?.[1] ?? "x3sproxy",
        content: await response.blob(),
      };
    } catch {
      throw new ApiProblem(
        0,
        "broken_off",
        "The file broke off, and nothing was saved. Try again.",
      );
    }
  };
}

interface SendOptions extends CallOptions {
  readonly body?: unknown;
  /** Whether the call has no deadline. */
  readonly takesLong?: boolean;
}

/** Sends a request, and repeats it once where that helps. Rejects with ApiProblem unless it succeeds. */
function createSend(events: SessionEvents, secret: SessionSecret) {
  type Send = (method: Method, path: string, options: SendOptions) => Promise<Response>;

  const send: Send = async (method, path, options) => {
    const sent = secret.get();
    const response = await reach(method, path, options, sent);
    if (response.ok) return response;
    const problem = problemOf(response, await bodyOf(response));
    if (problem.status === 401 && !NOT_ABOUT_THE_SESSION.has(problem.code)) {
      // Meanwhile another tab or call has signed in again, or changed the password.
      if (secret.get() !== sent && secret.get() !== undefined) return send(method, path, options);
      secret.remove();
      events.signedOut();
    }
    throw problem;
  };

  const sendProved: Send = async (method, path, options) => {
    try {
      return await send(method, path, options);
    } catch (error) {
      if (!(error instanceof ApiProblem) || error.status !== 403) throw error;
      if (error.code === "second_factor_required") events.secondFactorRequired();
      if (error.code !== "proof_needed") throw error;
      await events.prove();
      return send(method, path, options);
    }
  };
  return sendProved;
}

async function reach(
  method: Method,
  path: string,
  { body, idempotencyKey, signal, takesLong = false }: SendOptions,
  secret: string | undefined,
): Promise<Response> {
  const ends = [
    ...(signal === undefined ? [] : [signal]),
    ...(takesLong ? [] : [AbortSignal.timeout(TIMEOUT_MS)]),
  ];
  const sentMs = machineMs();
  try {
    const response = await fetch(API + path, {
      method,
      mode: "same-origin",
      credentials: "same-origin",
      redirect: "error",
      headers: {
        accept: takesLong ? "*/*" : "application/json",
        ...(body !== undefined && { "content-type": "application/json" }),
        ...(secret !== undefined && { [SESSION_HEADER]: secret }),
        ...(idempotencyKey !== undefined && { "idempotency-key": idempotencyKey }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      signal: AbortSignal.any(ends),
    });
    setClockBy(response.headers.get("date"), sentMs);
    return response;
  } catch (error) {
    if (signal?.aborted === true) throw error;
    throw (navigator as { onLine?: boolean }).onLine === false
      ? new ApiProblem(0, "offline", "This browser is offline. Connect it, then try again.")
      : new ApiProblem(0, "unreachable", "The service does not answer. Is it running?");
  }
}

async function bodyOf(response: Response): Promise<unknown> {
  try {
    return JSON.parse(await response.text(), (_name, value: unknown) =>
      typeof value === "string" ? escapeHidden(value) : value,
    );
  } catch {
    return undefined;
  }
}

function problemOf(response: Response, body: unknown): ApiProblem {
  const { code, detail } = (body ?? {}) as { code?: unknown; detail?: unknown };
  const retryAfterS = Number(response.headers.get("retry-after")) || undefined;
  return new ApiProblem(
    response.status,
    typeof code === "string" ? code : "unknown",
    typeof detail === "string" ? detail : `The service answered with status ${response.status}.`,
    retryAfterS,
    candidateOf(body),
  );
}

function candidateOf(body: unknown): ApiProblem["candidate"] {
  const { candidate } = (body ?? {}) as { candidate?: { secret?: unknown; version?: unknown } };
  const { secret, version } = candidate ?? {};
  return typeof secret === "string" && typeof version === "number"
    ? { secret, version }
    : undefined;
}
