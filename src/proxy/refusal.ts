// Refusals: the answers that the proxy gives itself. One table from the reason to status and message, in the provider's error shape, so that
// its SDK raises its own typed error with our message. A message says what to do next, and nothing that helps an attacker.
import { STATUS_CODES, type ServerResponse } from "node:http";
import type { RefusalReason } from "../platform/errors.ts";
import { errorBody, type ErrorShape } from "../providers/index.ts";
import { REFUSAL_KINDS } from "../platform/refusal-kinds.ts";
import { providerHint } from "./provider-hint.ts";

/** Thrown by the steps of a request's way: we answer it ourselves. */
export class Refusal extends Error {
  override name = "Refusal";
  readonly reason: RefusalReason;

  constructor(reason: RefusalReason) {
    super(reason);
    this.reason = reason;
  }
}

// One a reason, made here: a stack costs more than most refusals do, and keeps what is on it.
const REFUSALS = new Map(
  (Object.keys(REFUSAL_KINDS) as RefusalReason[]).map((reason) => [reason, new Refusal(reason)]),
);

/** The refusal for `reason`, to be thrown. */
export function refusalFor(reason: RefusalReason): Refusal {
  return REFUSALS.get(reason) ?? new Refusal(reason);
}

/** What was found. Throws the Refusal where there is a reason in its place. */
export function unlessRefused<T>(found: T | RefusalReason): Exclude<T, RefusalReason> {
  if (typeof found === "string") throw refusalFor(found as RefusalReason);
  return found as Exclude<T, RefusalReason>;
}

/** What a refusal's message may name. It comes from our own tables or from the agent's grant, never from the request. */
export interface RefusalContext {
  readonly exchangeId: string;
  readonly errorShape: ErrorShape;
  /** The provider's title and name, once it is known to exist. */
  readonly provider: { readonly title: string; readonly name: string } | undefined;
  readonly agent: string | undefined;
  readonly environment: string | undefined;
  readonly sensitiveEndpoint: string | undefined;
  /** The text in the place of a provider's name, if there is no such provider: for guessing which is meant, never to be shown. */
  readonly namedProvider: string | undefined;
  readonly dashboardUrl: string;
  /** Of a limit: in how many seconds it is worth another try. */
  readonly retryAfterS: number | undefined;
}

interface Wording {
  readonly status: number;
  readonly message: string;
  readonly headers?: readonly (readonly [string, string])[];
}

const CHALLENGE = [["www-authenticate", 'Bearer realm="x3sproxy"']] as const;

/** The wire form of a reason. Exhaustive: a new reason does not compile until it has its words. */
function wording(reason: RefusalReason, c: RefusalContext): Wording {
  const limited = ({ retryAfterS = 1 }: RefusalContext, message: string): Wording => ({
    status: 429,
    message: `${message} Try again in ${retryAfterS} s.`,
    headers: [["retry-after", String(retryAfterS)]],
  });
  const provider = c.provider?.title ?? "the provider";
  const unauthorized = (message: string): Wording => ({ status: 401, message, headers: CHALLENGE });
  switch (reason) {
    case "bad_request":
      return { status: 400, message: "The request is not valid HTTP." };
    case "bad_path":
      return {
        status: 400,
        message:
          "The request's path is ambiguous: dot segments, backslashes, double encodings, control characters, fragments and tokens are not allowed in it, and encoded slashes only in names of models at the provider's own paths for them.",
      };
    case "bad_query":
      return {
        status: 400,
        message:
          "The request's query has a parameter that would make a server take another method, other headers or another body than the request has, such as $httpMethod or _method. Send the request as it is meant.",
      };
    case "headers_too_large":
      return { status: 431, message: "The request's header section is too large." };
    case "method_not_allowed":
      return {
        status: 405,
        message: "CONNECT and TRACE are not supported.",
        headers: [["allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"]],
      };
    case "expectation_failed":
      return { status: 417, message: "Of the expectations, only 100-continue is supported." };
    case "request_timeout":
      return { status: 408, message: "The request's body did not arrive in time." };
    case "not_found":
      return {
        status: 404,
        message: "There is nothing here. Call /<provider>/<the provider's own path>.",
      };
    case "unknown_provider":
      return {
        status: 404,
        message: `There is no provider of this name. ${providerHint(c.namedProvider)}The path begins with a provider's name, as in /openai/v1/responses.`,
      };
    case "bad_context":
      return {
        status: 400,
        message:
          "The x3sproxy-context-* headers are not as they have to be: at most 8 of them, names of up to 32 letters, digits and " +
          "dashes after the prefix, each once, values of up to 200 visible ASCII characters and spaces, and no credential in them.",
      };
    case "page_not_allowed":
      return {
        status: 403,
        message:
          "A browser asks here whether a web page may call x3sproxy. Only pages of the origins in X3SPROXY_CORS_ORIGINS may: add " +
          "the page's origin to that setting of the service, as in https://app.example.com.",
      };
    case "missing_token":
      return unauthorized(
        "No x3sproxy token was sent. Put the agent's token (x3sproxy_…) where the provider's API key would go.",
      );
    case "malformed_token":
      return unauthorized(
        "The x3sproxy token is malformed: it is x3sproxy_ and 32 letters and digits. Was it cut off or quoted?",
      );
    case "foreign_credential":
      return unauthorized(
        "The request carries a credential that is not an x3sproxy token. Remove it, and send the agent's token (x3sproxy_…) in its place.",
      );
    case "conflicting_tokens":
      return unauthorized("The request carries two different x3sproxy tokens. Send one.");
    case "unknown_token":
      return unauthorized(
        "This x3sproxy token is not valid: the agent was redeployed or destroyed. Deploy it again to get a new one.",
      );
    case "registration_invalid":
      return unauthorized(
        "This registration token is not valid: it was used, revoked, has expired, or never was. Ask an operator for a new one.",
      );
    case "expired_token":
      return unauthorized(
        "This x3sproxy token has expired. Deploy the agent again to get a new one.",
      );
    case "agent_suspended":
      return {
        status: 403,
        message: `This agent is suspended. Whoever runs it can resume it: ${agentPage(c)}`,
      };
    case "scope_expired":
      return {
        status: 403,
        message: `What this agent may do has ended. Ask an admin to extend it: ${scopePage(c)}`,
      };
    case "address_not_allowed":
      return {
        status: 403,
        message: "This token can't be used from this address.",
      };
    case "provider_not_allowed":
      return {
        status: 403,
        message: `This agent may not use ${provider}. Ask an admin to allow it: ${scopePage(c)}`,
      };
    case "path_not_allowed":
      return {
        status: 403,
        message:
          `This agent's scope has no rule that allows this method and path of ${provider}. GET /_x3sproxy/token tells its ` +
          `rules. Ask an admin to allow it: ${scopePage(c)}`,
      };
    case "model_not_allowed":
      return {
        status: 403,
        message:
          `This agent may not use this model of ${provider}. GET /_x3sproxy/token tells which it may use. Ask an admin to ` +
          `allow it: ${scopePage(c)}`,
      };
    case "model_unclear":
      return {
        status: 403,
        message:
          "This agent may use some models only, and which one this request is for can't be told for certain: it has to be plain " +
          "JSON (or a form) with one model in it, uncompressed, at an endpoint where x3sproxy knows the model's place.",
      };
    case "rate_limited":
      return limited(
        c,
        c.agent === undefined
          ? "Too many registration tokens that are not valid came from this address."
          : "This agent, or its workspace, has used up its requests for now.",
      );
    case "too_many_streams":
      return limited(c, "This agent, or its workspace, has as many calls open as it may.");
    case "too_many_bytes":
      return limited(c, "This agent, or its workspace, has used up its bytes for now.");
    case "sensitive_endpoint":
      return {
        status: 403,
        message:
          `This endpoint of ${provider} hands out or lists credentials, so agents may not call it unless they are allowed ` +
          `"${c.sensitiveEndpoint ?? ""}" by name. Ask an admin to allow it: ${scopePage(c)}`,
      };
    case "no_secret":
      return { status: 403, message: noSecret(c) };
    case "origin_changed":
      return {
        status: 403,
        message:
          `The ${provider} key was saved for another origin than the one that is configured now, and a key goes only where it ` +
          `was saved for. Save it again in the dashboard's Secrets tab: ${secretsTab(c)}`,
      };
    case "header_changed":
      return {
        status: 403,
        message:
          `The ${provider} key was saved for another header or scheme than ${provider} takes its key in now, and a key goes only ` +
          `where it was saved for. Save it again in the dashboard's Secrets tab: ${secretsTab(c)}`,
      };
    case "header_refused":
      return {
        status: 403,
        message:
          `${provider} is set to take its key in a header that servers answer with or act on, so no key goes there. Ask an admin ` +
          "to change the provider's header, and then to save the key again.",
      };
    case "secret_unreadable":
      return {
        status: 503,
        message: `The stored ${provider} key can't be opened. Save it again in the dashboard's Secrets tab: ${secretsTab(c)}`,
        headers: [["retry-after", "2"]],
      };
    case "store_unavailable":
      return {
        status: 503,
        message:
          "x3sproxy can't reach its database, so it can't check this token. Try again shortly.",
        headers: [["retry-after", "2"]],
      };
    case "overloaded":
      return {
        status: 503,
        message: "x3sproxy is busy. Try again shortly.",
        headers: [["retry-after", "1"]],
      };
    case "stopping":
      return {
        status: 503,
        message: "x3sproxy is being stopped here. Try again: another process answers.",
        headers: [["retry-after", "1"]],
      };
    case "internal_error":
      return { status: 500, message: "x3sproxy failed to handle this request." };
    case "upstream_address_refused":
      return {
        status: 403,
        message: `The address of ${provider} is private, and x3sproxy is not configured to connect to it.`,
      };
    case "upstream_unreachable":
      return { status: 502, message: `x3sproxy could not get an answer from ${provider}.` };
    case "upstream_connect_timeout":
      return { status: 504, message: `x3sproxy could not connect to ${provider} in time.` };
    case "upstream_first_byte_timeout":
      return { status: 504, message: `${provider} did not answer in time.` };
    case "upstream_protocol_error":
      return { status: 502, message: `The answer of ${provider} was not valid HTTP.` };
  }
}

function noSecret(c: RefusalContext): string {
  const name = c.provider === undefined ? "" : `${c.provider.title} (${c.provider.name}) `;
  return (
    `No ${name}key is configured for the environment "${c.environment ?? ""}". ` +
    `Add one in the Secrets tab of the x3sproxy dashboard: ${secretsTab(c)}`
  );
}

function secretsTab(c: RefusalContext): string {
  const query = new URLSearchParams({
    provider: c.provider?.name ?? "",
    environment: c.environment ?? "",
  });
  return `${c.dashboardUrl}/secrets?${query.toString()}`;
}

function agentPage(c: RefusalContext): string {
  return `${c.dashboardUrl}/agents/${encodeURIComponent(c.agent ?? "")}`;
}

function scopePage(c: RefusalContext): string {
  return `${agentPage(c)}/scope`;
}

/** A refusal on the wire: status, raw header pairs, body. */
export function renderRefusal(
  reason: RefusalReason,
  context: RefusalContext,
): { status: number; headers: string[]; body: string } {
  const { status, message, headers: own = [] } = wording(reason, context);
  const { headers, body } = errorBody(context.errorShape, {
    status,
    code: reason,
    message,
    requestId: context.exchangeId,
  });
  return {
    status,
    headers: [
      ...headers.flat(),
      ...own.flat(),
      "x3sproxy-refusal",
      reason,
      "cache-control",
      "no-store",
      "content-length",
      String(Buffer.byteLength(body)),
    ],
    body,
  };
}

/** Sends a refusal as a whole answer. With `close`, the connection ends with it. Returns the status. */
export function sendRefusal(
  response: ServerResponse,
  reason: RefusalReason,
  context: RefusalContext,
  close: boolean,
): number {
  const { status, headers, body } = renderRefusal(reason, context);
  if (close) headers.push("connection", "close");
  response.writeHead(status, headers);
  response.end(body);
  return status;
}

/** The raw answer to bytes that no request could be read from. */
export function rawRefusal(
  reason: RefusalReason,
  context: RefusalContext,
): { status: number; text: string } {
  const { status, headers, body } = renderRefusal(reason, context);
  let head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}\r\nconnection: close\r\n`;
  for (let i = 0; i + 1 < headers.length; i += 2) {
    head += `${headers[i] ?? ""}: ${headers[i + 1] ?? ""}\r\n`;
  }
  return { status, text: `${head}\r\n${body}` };
}
