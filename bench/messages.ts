// What goes over the wire: requests as each peer wants them, and the upstream's answers. Written to files that the load and
// the upstream read, so that both check the same bytes.
import { writeFileSync } from "node:fs";
import { join } from "node:path";

export const REAL_KEY = "FAKE-real-key-of-the-bench-1111";
export const TOKEN_PREFIX = "x3sproxy_";

/** Sizes in bytes. */
const SMALL = 1024;
const SMALL_OF_SDK = 1040; // so that the upstream can tell which one it has before it
const LARGE = 150_000;

export type Headers = readonly (readonly [string, string])[];

/** Where and how a peer is asked. */
export interface Door {
  readonly port: number;
  /** Before the provider's own path. */
  readonly prefix: string;
  /** What the Authorization header holds. */
  readonly bearer: string;
  readonly headers: Headers;
}

/** What the official OpenAI client for Node sends, beside what every client does. */
const SDK_HEADERS: Headers = [
  ["x-stainless-retry-count", "0"],
  ["x-stainless-lang", "js"],
  ["x-stainless-package-version", "7.57.0"],
  ["x-stainless-os", "Linux"],
  ["x-stainless-arch", "x64"],
  ["x-stainless-runtime", "node"],
  ["x-stainless-runtime-version", "v26.10.0"],
  ["x-stainless-timeout", "600"],
  ["accept-language", "*"],
  ["sec-fetch-mode", "cors"],
  ["accept-encoding", "gzip, deflate"],
];

/** What OpenAI answers with. */
const SDK_ANSWER_HEADERS: Headers = [
  ["date", "Sun, 22 Nov 2026 08:00:00 GMT"],
  ["access-control-expose-headers", "X-Request-ID"],
  ["openai-organization", "user-0123456789abcdefghijklmn"],
  ["openai-processing-ms", "412"],
  ["openai-project", "proj_0123456789abcdefghijklmn"],
  ["openai-version", "2020-10-01"],
  ["x-envoy-upstream-service-time", "430"],
  ["x-ratelimit-limit-requests", "10000"],
  ["x-ratelimit-limit-tokens", "2000000"],
  ["x-ratelimit-remaining-requests", "9999"],
  ["x-ratelimit-remaining-tokens", "1999744"],
  ["x-ratelimit-reset-requests", "6ms"],
  ["x-ratelimit-reset-tokens", "7ms"],
  ["strict-transport-security", "max-age=31536000; includeSubDomains; preload"],
  ["cf-cache-status", "DYNAMIC"],
  ["x-content-type-options", "nosniff"],
  ["server", "cloudflare"],
  ["cf-ray", "0123456789abcdef-FRA"],
  ["alt-svc", 'h3=":443"; ma=86400'],
];

function chat(model: string, content: string, stream = false): string {
  return JSON.stringify({
    model,
    messages: [{ role: "user", content }],
    ...(stream ? { stream } : {}),
  });
}

function padded(model: string, bytes: number): string {
  return chat(model, "x".repeat(bytes - chat(model, "").length));
}

const COMPLETION = {
  id: "chatcmpl-bench",
  object: "chat.completion",
  created: 1_700_000_000,
  model: "bench",
  choices: [
    { index: 0, message: { role: "assistant", content: "y".repeat(784) }, finish_reason: "stop" },
  ],
  usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
};

/** The answer's body, 1 kB. */
export const ANSWER = JSON.stringify(COMPLETION);

/** What is asked for. A stream's `@@@@@@` is filled in by the load: its number. */
export type Question =
  | { readonly kind: "small" | "large"; readonly sdk?: boolean }
  | { readonly kind: "stream"; readonly periodMs: number; readonly events: number }
  | { readonly kind: "websocket" };

/** The bytes of a request. */
export function requestOf(door: Door, question: Question): string {
  const headers: (readonly [string, string])[] = [
    ["host", `127.0.0.1:${door.port}`],
    ["user-agent", "OpenAI/JS 7.57.0"],
    ["accept", "application/json"],
    ["authorization", `Bearer ${door.bearer}`],
    ...door.headers,
  ];
  if (question.kind === "websocket") {
    headers.push(
      ["connection", "Upgrade"],
      ["upgrade", "websocket"],
      ["sec-websocket-version", "13"],
      ["sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="],
    );
    return head("GET", `${door.prefix}/v1/realtime?model=bench`, headers);
  }
  const body = bodyOf(question);
  if (question.kind !== "stream" && question.sdk === true) headers.push(...SDK_HEADERS);
  headers.push(["content-type", "application/json"], ["content-length", String(body.length)]);
  return head("POST", `${door.prefix}/v1/chat/completions`, headers) + body;
}

function head(method: string, path: string, headers: Headers): string {
  const fields = headers.map(([name, value]) => `${name}: ${value}\r\n`).join("");
  return `${method} ${path} HTTP/1.1\r\n${fields}\r\n`;
}

function bodyOf(question: Exclude<Question, { kind: "websocket" }>): string {
  switch (question.kind) {
    case "small":
      return question.sdk === true ? padded("sdk", SMALL_OF_SDK) : padded("json", SMALL);
    case "large":
      return padded("json", LARGE);
    case "stream":
      return chat(`sse/${question.periodMs * 1000}/${question.events}/@@@@@@`, "tell me", true);
  }
}

/** Writes what the upstream answers with and what it expects, into a folder. */
export function writeAnswers(folder: string): void {
  const plain: Headers = [
    ["content-type", "application/json"],
    ["content-length", String(ANSWER.length)],
    ["x-request-id", "req_0123456789abcdef"],
  ];
  const write = (name: string, text: string): void => writeFileSync(join(folder, name), text);
  const answer = (headers: Headers): string =>
    `HTTP/1.1 200 OK\r\n${headers.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n${ANSWER}`;
  write("json.answer", answer(plain));
  write("sdk.answer", answer([...plain, ...SDK_ANSWER_HEADERS]));
  write("expected", ANSWER);
  write("small.body", padded("json", SMALL));
  write("sdk.body", padded("sdk", SMALL_OF_SDK));
  write("large.body", padded("json", LARGE));
}
