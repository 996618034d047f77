// Metrics of sign-ins, renewed proofs and API keys. Sees only the route, the status and the problem's code; never who it was, or from where.
import type { FastifyInstance, FastifyRequest } from "fastify";
import { API, type ProblemCode, type Route } from "../contract/index.ts";
import type { ApiKeyRefusal, SignInResult } from "../platform/metric-labels.ts";
import type { Metrics } from "../platform/metrics.ts";

declare module "fastify" {
  interface FastifyRequest {
    /** The code of the problem that was answered, if any. */
    problemCode: ProblemCode | undefined;
  }
}

type Results<Result> = Partial<Record<ProblemCode, Result>>;

const PASSWORD: Route = "POST /sign-in";
const LINKS: ReadonlySet<string> = new Set<Route>([
  "POST /setup",
  "POST /invitations/accept",
  "POST /resets/accept",
]);
const PROOF: Route = "POST /me/proof";

// Other codes are not about the caller's identity.
const SIGN_IN_RESULTS: Results<SignInResult> = {
  sign_in_refused: "refused",
  link_invalid: "refused",
  setup_link_invalid: "refused",
  proof_refused: "refused",
  second_factor_needed: "code_needed",
  too_many_attempts: "limited",
};
const API_KEY_RESULTS: Results<ApiKeyRefusal> = {
  unauthenticated: "unknown",
  address_not_allowed: "address",
  too_many_requests: "limited",
  too_many_attempts: "limited",
};

/** Counts the answers of `app`. */
export function countPeople(app: FastifyInstance, metrics: Metrics): void {
  app.decorateRequest("problemCode", undefined);
  app.addHook("onResponse", async (request, reply) => {
    const { statusCode } = reply;
    metrics.adminRequests.inc({ status_class: `${Math.floor(statusCode / 100)}xx` });
    const route = `${request.method} ${request.routeOptions.url?.replace(API, "") ?? ""}`;
    const succeeded = statusCode < 400;
    if (route === PASSWORD || LINKS.has(route)) {
      const result = succeeded
        ? "succeeded"
        : request.problemCode && SIGN_IN_RESULTS[request.problemCode];
      const method = route === PASSWORD ? "password" : "link";
      if (result !== undefined) metrics.signIns.inc({ method, result });
    } else {
      const result = route === PROOF && succeeded ? "succeeded" : proofResult(request);
      if (result !== undefined) metrics.proofs.inc({ result });
    }
    const refused = apiKeyRefusal(request);
    if (refused !== undefined) metrics.apiKeyRefusals.inc({ reason: refused });
  });
}

/** Several routes ask for a proof. Recognise its refusals by their code and by the session. */
function proofResult({ problemCode, caller }: FastifyRequest): "refused" | "limited" | undefined {
  if (problemCode === "proof_refused") return "refused";
  return problemCode === "too_many_attempts" && caller?.kind === "user" ? "limited" : undefined;
}

/** Why a request's API key was refused. Undefined if it was accepted, or if there was none. */
function apiKeyRefusal({
  headers,
  caller,
  problemCode,
}: FastifyRequest): ApiKeyRefusal | undefined {
  if (headers.authorization === undefined || caller !== undefined) return undefined;
  return problemCode && API_KEY_RESULTS[problemCode];
}
