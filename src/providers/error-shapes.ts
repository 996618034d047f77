// Errors of our own in each provider's shape, so that its SDK raises its own typed error with our message. Says only what
// it is given: must never add anything from a request.
import type { ErrorShape } from "./definition.ts";

interface OwnError {
  readonly status: number;
  /** The refusal's reason. Goes where the shape has a field for a code. */
  readonly code: string;
  readonly message: string;
  readonly requestId: string;
}

/** JSON body and headers (content type, and the request id under the provider's name for it) of an error. */
export function errorBody(
  shape: ErrorShape,
  error: OwnError,
): { headers: [string, string][]; body: string } {
  const { headers, body } = SHAPES[shape](error);
  return {
    headers: [["content-type", "application/json"], ...(headers ?? [])],
    body: JSON.stringify(body),
  };
}

type Render = (error: OwnError) => { headers?: [string, string][]; body: object };

const SHAPES: Readonly<Record<ErrorShape, Render>> = {
  // developers.openai.com/api/docs/guides/error-codes; openai: core/error.js
  openai: (e) => ({
    headers: [["x-request-id", e.requestId]],
    body: { error: openAiError(e) },
  }),
  // OpenRouterTeam/typescript-sdk: models/errors; code is a number.
  openrouter: (e) => ({
    body: { error: { code: e.status, message: e.message, metadata: { reason: e.code } } },
  }),
  // platform.claude.com/docs/en/api/errors; @anthropic-ai/sdk: core/error.js
  anthropic: (e) => ({
    headers: [["request-id", e.requestId]],
    body: {
      type: "error",
      error: { type: anthropicType(e.status), message: e.message },
      request_id: e.requestId,
    },
  }),
  // cloud.google.com/apis/design/errors: ErrorInfo.reason is UPPER_SNAKE_CASE.
  google: (e) => ({
    body: {
      error: {
        code: e.status,
        message: e.message,
        status: googleStatus(e.status),
        details: [
          {
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            reason: e.code.toUpperCase(),
            domain: "x3sproxy",
          },
        ],
      },
    },
  }),
  // github.com/microsoft/api-guidelines, azure/Guidelines.md: error response
  azure: (e) => ({
    headers: [
      ["x-ms-error-code", e.code],
      ["apim-request-id", e.requestId],
    ],
    body: { error: { code: e.code, message: e.message } },
  }),
  // docs.aws.amazon.com/bedrock/latest/userguide/troubleshooting-api-error-codes.html. `error` is for OpenAI's clients on
  // Bedrock's OpenAI-compatible paths: most of them find no message elsewhere.
  aws: (e) => ({
    headers: [
      ["x-amzn-errortype", awsException(e.status)],
      ["x-amzn-requestid", e.requestId],
    ],
    body: { message: e.message, error: openAiError(e) },
  }),
  // docs.cohere.com/reference/errors. `error` as with aws: there is /compatibility/v1.
  cohere: (e) => ({ body: { id: e.requestId, message: e.message, error: openAiError(e) } }),
  // docs.mistral.ai/resources/error-glossary. `error` as with aws: OpenAI's clients are often used here.
  mistral: (e) => ({ body: { object: "error", ...openAiError(e), error: openAiError(e) } }),
  // huggingface_hub: utils/_http.py, and huggingface.js: inference/src/utils/request.ts
  huggingface: (e) => ({ headers: [["x-request-id", e.requestId]], body: { error: e.message } }),
  // elevenlabs.io/docs/api-reference
  elevenlabs: (e) => ({ body: { detail: { status: e.code, message: e.message } } }),
  // deepgram-js-sdk: api/types/ErrorResponseLegacyError.ts, the form of its authentication errors.
  deepgram: (e) => ({
    headers: [["dg-request-id", e.requestId]],
    body: { err_code: e.code.toUpperCase(), err_msg: e.message, request_id: e.requestId },
  }),
  // fal.ai/docs/documentation/model-apis/request-errors; its JavaScript client reads `message`.
  fal: (e) => ({
    headers: [
      ["x-fal-error-type", e.code],
      ["x-fal-request-id", e.requestId],
    ],
    body: { detail: e.message, message: e.message, error_type: e.code },
  }),
};

function openAiError({ status, code, message }: OwnError) {
  const type =
    status >= 500
      ? "server_error"
      : status === 429
        ? "rate_limit_error"
        : status === 401
          ? "authentication_error"
          : "invalid_request_error";
  return { message, type, param: null, code };
}

function anthropicType(status: number): string {
  switch (status) {
    case 401:
      return "authentication_error";
    case 403:
      return "permission_error";
    case 404:
      return "not_found_error";
    case 408:
    case 504:
      return "timeout_error";
    case 413:
      return "request_too_large";
    case 429:
      return "rate_limit_error";
    case 503:
    case 529:
      return "overloaded_error";
    default:
      return status >= 500 ? "api_error" : "invalid_request_error";
  }
}

/** The canonical code (google.rpc.Code) of an HTTP status. */
function googleStatus(status: number): string {
  switch (status) {
    case 401:
      return "UNAUTHENTICATED";
    case 403:
      return "PERMISSION_DENIED";
    case 404:
      return "NOT_FOUND";
    case 429:
      return "RESOURCE_EXHAUSTED";
    case 500:
      return "INTERNAL";
    case 502:
    case 503:
      return "UNAVAILABLE";
    case 408:
    case 504:
      return "DEADLINE_EXCEEDED";
    default:
      return status >= 500 ? "INTERNAL" : "INVALID_ARGUMENT";
  }
}

/** The exception that the AWS SDKs raise for a status: Bedrock Runtime's own, or one common to all services. */
function awsException(status: number): string {
  switch (status) {
    case 401:
      return "UnrecognizedClientException";
    case 403:
      return "AccessDeniedException";
    case 404:
      return "ResourceNotFoundException";
    case 408:
    case 504:
      return "ModelTimeoutException";
    case 429:
      return "ThrottlingException";
    case 502:
    case 503:
      return "ServiceUnavailableException";
    default:
      return status >= 500 ? "InternalServerException" : "ValidationException";
  }
}
