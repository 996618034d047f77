// CORS (the Fetch standard): only pages of the configured origins may call the proxy from a browser and read its answers. It doesn't
// authenticate: every call needs its token, and cookies are ignored.
import type { IncomingMessage } from "node:http";
import type { Answer } from "./answer.ts";
import { REQUEST_IDS } from "./field-names.ts";
import { fieldValue, isWellFramed } from "./headers.ts";

/** How long a browser may cache a preflight's answer, in seconds. Chromium's maximum. */
const MAX_AGE_S = 7200;
const FIELD_NAMES = /^[\w!#$%&'*+.^`|~-]+(?:[ \t]*,[ \t]*[\w!#$%&'*+.^`|~-]+)*$/;
const METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

const LIMITED = ["limit", "remaining", "reset"];
const OPENAI_LIMITS = ["requests", "tokens"];
const ANTHROPIC_LIMITS = ["requests", "tokens", "input-tokens", "output-tokens"];
/** Response fields that SDKs read, beside those that browsers always show. */
const EXPOSED = [
  "x3sproxy-refusal",
  "retry-after",
  "retry-after-ms",
  "x-should-retry",
  "www-authenticate",
  "date",
  "etag",
  "link",
  "location",
  "operation-location",
  "content-disposition",
  "openai-processing-ms",
  "x-goog-upload-url",
  "x-goog-upload-status",
  "x-goog-upload-chunk-granularity",
  ...REQUEST_IDS,
  ...LIMITED.map((what) => `x-ratelimit-${what}`),
  ...LIMITED.flatMap((what) => OPENAI_LIMITS.map((of) => `x-ratelimit-${what}-${of}`)),
  ...LIMITED.flatMap((what) => ANTHROPIC_LIMITS.map((of) => `anthropic-ratelimit-${of}-${what}`)),
].join(", ");

export type Cors = ReturnType<typeof createCors>;

/** `origins`: as browsers write them in Origin. */
export function createCors(origins: ReadonlySet<string>) {
  const listed = ({ rawHeaders }: IncomingMessage): string | undefined => {
    const origin = origins.size === 0 ? undefined : fieldValue(rawHeaders, "origin");
    return origin !== undefined && origins.has(origin) ? origin : undefined;
  };
  return {
    /** Whether a request is a preflight. Preflights are never forwarded. */
    isPreflight: (request: IncomingMessage): boolean =>
      request.method === "OPTIONS" &&
      isWellFramed(request.rawHeaders, request.httpVersion) &&
      fieldValue(request.rawHeaders, "origin") !== undefined &&
      fieldValue(request.rawHeaders, "access-control-request-method") !== undefined,

    /** Answers a preflight. False: its origin isn't listed, and nothing was sent. */
    answerPreflight(request: IncomingMessage, response: Answer): boolean {
      if (listed(request) === undefined) return false;
      const asked = request.headersDistinct["access-control-request-headers"]?.join(", ") ?? "";
      const headers = ["access-control-allow-methods", METHODS];
      if (FIELD_NAMES.test(asked)) headers.push("access-control-allow-headers", asked);
      headers.push("access-control-max-age", String(MAX_AGE_S));
      response.writeHead(204, headers);
      response.end();
      return true;
    },

    /** The fields that let a page of a listed origin read an answer, ours or an upstream's. */
    fields(request: IncomingMessage): readonly string[] {
      const origin = listed(request);
      return origin === undefined
        ? NONE
        : [
            ...["access-control-allow-origin", origin, "vary", "origin"],
            ...["access-control-expose-headers", EXPOSED],
          ];
    },
  };
}

const NONE: readonly string[] = [];
