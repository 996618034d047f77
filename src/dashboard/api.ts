// The way to the REST API: same origin, the session's cookie, its CSRF token, problem documents as errors, proof asked for
// where it is needed. Must never send anything to another origin, and must never keep an answer or a value that was typed.
import type { Read } from "./answers.ts";

const BASE = "/api/v1";
const TIMEOUT_MS = 30_000;

/** What went wrong, in a sentence for the person who sits there. `code` is stable; `status` is 0 when nothing answered. */
export class ApiProblem extends Error {
  readonly status: number;
  readonly code: string;
  /** Seconds after which a new try makes sense. */
  readonly retryAfterS: number | undefined;
  /** The version that a new key was kept as, where it was not made active. */
  readonly candidate: { readonly secret: string; readonly version: number } | undefined;

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

export type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

export interface CallOptions {
  readonly body?: unknown;
  readonly idempotencyKey?: string;
  readonly signal?: AbortSignal;
}

/** One call of the API: `path` is below /api/v1. Rejects with ApiProblem. */
export type Call = <T>(
  read: Read<T>,
  method: Method,
  path: string,
  options?: CallOptions,
) => Promise<T>;

/** What the app does about answers that concern the whole session. */
export interface SessionEvents {
  signedOut(): void;
  secondFactorRequired(): void;
  /** Asks for password or code; resolves when the session is proved again, rejects with ApiProblem `not_proved`. */
  prove(): Promise<void>;
}

// Of these the page that called makes something; any other 401 means that the session is over.
const NOT_ABOUT_THE_SESSION = new Set([
  "sign_in_refused",
  "second_factor_needed",
  "proof_refused",
  "link_invalid",
  "setup_link_invalid",
]);

export function createCall(events: SessionEvents): Call {
  let csrfToken: string | undefined;

  async function send(method: Method, path: string, options: CallOptions): Promise<unknown> {
    const response = await reach(method, path, options, csrfToken);
    const body = await bodyOf(response);
    if (!response.ok) throw problemOf(response, body);
    csrfToken = csrfTokenOf(body) ?? csrfToken;
    return body;
  }

  async function sendAgain(error: unknown, method: Method, path: string, options: CallOptions) {
    if (!(error instanceof ApiProblem)) throw error;
    if (error.status === 401 && !NOT_ABOUT_THE_SESSION.has(error.code)) events.signedOut();
    if (error.code === "second_factor_required" && error.status === 403) {
      events.secondFactorRequired();
    }
    if (error.code === "proof_needed") {
      await events.prove();
      return send(method, path, options);
    }
    // Another tab has changed the password or the second factor: the session got a new token.
    if (error.code === "csrf") {
      await send("GET", "/me", {});
      return send(method, path, options);
    }
    throw error;
  }

  return async (read, method, path, options = {}) => {
    const body = await send(method, path, options).catch((error: unknown) =>
      sendAgain(error, method, path, options),
    );
    try {
      return read(body);
    } catch {
      throw new ApiProblem(
        0,
        "unexpected_answer",
        "The service answered in a way that this page does not know. Reload the page: one of them may be older.",
      );
    }
  };
}

async function reach(
  method: Method,
  path: string,
  { body, idempotencyKey, signal }: CallOptions,
  csrfToken: string | undefined,
): Promise<Response> {
  const deadline = AbortSignal.timeout(TIMEOUT_MS);
  try {
    return await fetch(BASE + path, {
      method,
      mode: "same-origin",
      credentials: "same-origin",
      redirect: "error",
      headers: {
        accept: "application/json",
        ...(body !== undefined && { "content-type": "application/json" }),
        ...(method !== "GET" && csrfToken !== undefined && { "x-csrf-token": csrfToken }),
        ...(idempotencyKey !== undefined && { "idempotency-key": idempotencyKey }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      signal: signal === undefined ? deadline : AbortSignal.any([signal, deadline]),
    });
  } catch (error) {
    if (signal?.aborted === true) throw error;
    throw new ApiProblem(0, "unreachable", "The service does not answer. Is it running?");
  }
}

async function bodyOf(response: Response): Promise<unknown> {
  try {
    return await response.json();
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

function csrfTokenOf(body: unknown): string | undefined {
  const { me } = (body ?? {}) as { me?: { session?: { csrfToken?: unknown } | null } };
  const token = me?.session?.csrfToken;
  return typeof token === "string" ? token : undefined;
}
