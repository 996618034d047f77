// The REST API's contract: routes with their schemas and permissions, problem codes, roles. The service, its OpenAPI document, the command line
// and the dashboard import it. Must never import the code that serves it.
export * from "./client.ts";
export type { RouteDeclaration, RouteRule, Routes } from "./declaration.ts";
export { agentName, environmentName, instant, providerName, text } from "./fields.ts";
export { MAX_CURSOR_LENGTH } from "./lists.ts";
export { eventId } from "./audit.ts";
export { problem, PROBLEMS } from "./problems.ts";
export { ROUTES } from "./routes.ts";
