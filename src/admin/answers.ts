// The answers of the admin side that no route makes: the headers of every answer, problems, and what is answered before any hook runs.
// Must never repeat what the client sent.
import type { FastifyError, FastifyReply, FastifyRequest } from "fastify";
import type { Socket } from "node:net";
import { isSafe } from "./browsers.ts";
import { html, HTML_TYPE, type Html } from "./html.ts";
import { problem, PROBLEM_TYPE, problemOf, type Problem } from "./problem.ts";

const HEADERS: Readonly<Record<string, string>> = {
  "content-security-policy":
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; " +
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
  "x-content-type-options": "nosniff",
  "cache-control": "no-store",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
};
// RFC 6797; two years.
const HSTS = "max-age=63072000; includeSubDomains";
// After bytes that are not HTTP: how long the client has to close its side.
const LINGER_MS = 3000;
const RETRY_AFTER_S: Readonly<Record<number, number>> = { 429: 60, 503: 2 };
const STATUS_OF_PROTOCOL_ERROR: Readonly<Record<string, number>> = {
  HPE_HEADER_OVERFLOW: 431,
  ERR_HTTP_REQUEST_TIMEOUT: 408,
};

/** The headers of every answer. `secure`: whether browsers reach us by HTTPS. */
export function securityHeaders({ secure }: { secure: boolean }): Readonly<Record<string, string>> {
  return secure ? { ...HEADERS, "strict-transport-security": HSTS } : HEADERS;
}

/** Whether a browser will show the answer to a person. What is below /api is for programs, whatever Accept says. */
export function isForPerson({ method, url, headers }: FastifyRequest): boolean {
  const ofApi = /^\/api(?:[/?]|$)/i.test(url);
  return !ofApi && isSafe(method) && /\btext\/html\b/i.test(headers.accept ?? "");
}

/** Answers with a problem, as a page if it is for a person. `retryAfterS` replaces the usual Retry-After of a 429 or 503, in seconds. */
export function sendProblem(
  reply: FastifyReply,
  answer: Problem,
  retryAfterS = RETRY_AFTER_S[answer.status],
): FastifyReply {
  if (retryAfterS !== undefined) reply.header("retry-after", retryAfterS);
  if (answer.status === 401) reply.header("www-authenticate", 'Bearer realm="x3sproxy"');
  reply.code(answer.status);
  return isForPerson(reply.request)
    ? reply.type(HTML_TYPE).send(pageOf(answer).text)
    : reply.type(PROBLEM_TYPE).send(JSON.stringify(answer));
}

function pageOf({ status, title, detail, instance }: Problem): Html {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${title} · x3sproxy</title>
        <link rel="stylesheet" href="/reference.css" />
      </head>
      <body>
        <main>
          <h1>${status} ${title}</h1>
          <p>${detail}</p>
          ${instance === undefined ? undefined : html`<p><code>${instance}</code></p>`}
          <p><a href="/">Go to the dashboard</a></p>
        </main>
      </body>
    </html> `;
}

/** Options for Fastify: how it answers before any hook runs. `secure`: whether browsers reach us by HTTPS. */
export function createEarlyAnswers(o: { secure: boolean }) {
  const headers = securityHeaders(o);
  return {
    /** Answers what Fastify refuses by itself: a URL that can't be decoded, a parameter that is too long. */
    frameworkErrors(error: FastifyError, _request: FastifyRequest, reply: FastifyReply): void {
      reply.headers(headers);
      void sendProblem(
        reply,
        problemOf(error) ?? problem(400, "bad_request", "The request is malformed."),
      );
    },
    /** Answers bytes that are not HTTP, and requests that are too large or too slow. */
    clientErrorHandler(error: Error & { code?: string }, socket: Socket): void {
      if (!socket.writable) {
        socket.destroy();
        return;
      }
      const status = STATUS_OF_PROTOCOL_ERROR[error.code ?? ""] ?? 400;
      const answer = problem(status, "bad_request", "The request is malformed.");
      const body = JSON.stringify(answer);
      const lines = Object.entries({
        ...headers,
        "content-type": PROBLEM_TYPE,
        "content-length": Buffer.byteLength(body),
        connection: "close",
      }).map(([name, value]) => `${name}: ${value}\r\n`);
      const late = setTimeout(() => socket.destroy(), LINGER_MS).unref();
      socket.once("close", () => clearTimeout(late));
      socket.end(`HTTP/1.1 ${status} ${answer.title}\r\n${lines.join("")}\r\n${body}`);
    },
  };
}
