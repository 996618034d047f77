// Turns an error into a problem document (RFC 9457). Only messages that were written for clients pass. Any other error becomes an opaque
// id, which the log has, too.
import { STATUS_CODES } from "node:http";
import { ZodError } from "zod";
import type { Candidate, ProblemCode } from "../contract/index.ts";
import { RequestError, StoreUnavailableError } from "../platform/errors.ts";

export const PROBLEM_TYPE = "application/problem+json; charset=utf-8";

export interface Problem {
  readonly type: "about:blank";
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  /** Stable, for programs. */
  readonly code: ProblemCode;
  /** `urn:uuid:…` of the log line, for an internal error. */
  readonly instance?: string;
  /** The version of a new key that was saved but not made active. */
  readonly candidate?: Candidate;
}

export function problem(status: number, code: ProblemCode, detail: string): Problem {
  return { type: "about:blank", title: STATUS_CODES[status] ?? "Error", status, detail, code };
}

/** What to tell the client about `error`; undefined if it is an internal error. */
export function problemOf(error: unknown): Problem | undefined {
  if (error instanceof RequestError) {
    const { status, code, message, candidate } = error;
    return { ...problem(status, code, message), ...(candidate !== undefined && { candidate }) };
  }
  if (error instanceof ZodError) return problem(422, "invalid_request", describeIssues(error));
  if (error instanceof StoreUnavailableError) {
    return problem(
      503,
      "store_unavailable",
      "The database does not answer. Try again in a few seconds.",
    );
  }
  return frameworkProblem(error);
}

function frameworkProblem(error: unknown): Problem | undefined {
  if (!(error instanceof Error) || !("code" in error) || typeof error.code !== "string") {
    return undefined;
  }
  switch (error.code) {
    case "FST_ERR_CTP_EMPTY_JSON_BODY":
    case "FST_ERR_CTP_INVALID_JSON_BODY":
      return problem(400, "invalid_json", "The body is not valid JSON.");
    case "FST_ERR_CTP_INVALID_CONTENT_LENGTH":
    case "FST_ERR_BAD_URL":
      return problem(400, "bad_request", "The request is malformed.");
    case "FST_ERR_CTP_BODY_TOO_LARGE":
      return problem(413, "body_too_large", "The body is larger than 64 KB.");
    case "FST_ERR_CTP_INVALID_MEDIA_TYPE":
      return problem(415, "unsupported_media_type", "Send the body as application/json.");
    // Postgres's error codes (its manual, appendix A): since our check, a row with this key was made, or its parent was deleted.
    case "23503":
    case "23505":
      return problem(
        409,
        "conflict",
        "Somebody changed the same thing at the same moment. Look at how it is now, then try again.",
      );
    case "FST_ERR_MAX_PARAM_LENGTH":
      return problem(404, "not_found", "There is nothing at this path.");
    default:
      return isRefusalOfFramework(error)
        ? problem(400, "bad_request", "The request is malformed.")
        : undefined;
  }
}

function isRefusalOfFramework(error: Error & { code?: unknown; statusCode?: unknown }): boolean {
  const { code, statusCode } = error;
  const isClients = typeof statusCode === "number" && statusCode >= 400 && statusCode < 500;
  return String(code).startsWith("FST_ERR_") && isClients;
}

// Field names come from our schema, never from the client: an unknown name could be a key that was pasted into the wrong place. `fields`
// are the known names, to be listed instead.
export function describeIssues(error: ZodError, fields: readonly string[] = []): string {
  const named = fields.length === 0 ? "" : `; there are ${fields.join(", ")}`;
  const lines = error.issues.map((issue) => {
    const atTop = issue.path.length === 0;
    const text =
      issue.code === "unrecognized_keys" ? `unknown field${atTop ? named : ""}` : issue.message;
    return atTop ? text : `${issue.path.join(".")}: ${text}`;
  });
  return `${[...new Set(lines)].slice(0, 5).join("; ")}.`;
}
