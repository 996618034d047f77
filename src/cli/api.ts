// The client of the admin API. Must send the API key nowhere but to the configured URL.
import { z } from "zod";
import { readClientConfig, type ClientConfig } from "../config.ts";
import { Failure } from "./failure.ts";

const TIMEOUT_MS = 15_000;

const secretView = z.looseObject({
  id: z.string(),
  provider: z.string(),
  environment: z.string(),
  label: z.string(),
  version: z.number(),
  masked: z.string(),
  updatedAt: z.string(),
});
export type SecretView = z.infer<typeof secretView>;

const agentView = z.looseObject({
  name: z.string(),
  environment: z.string(),
  providers: z.array(z.string()).nullable(),
  deployment: z.number(),
  deployedAt: z.string(),
  expiresAt: z.string().nullable(),
});
export type AgentView = z.infer<typeof agentView>;

const clientSettings = z.object({
  baseUrlVariable: z.string().optional(),
  keyVariable: z.string(),
  basePath: z.string(),
});
const providerView = z.looseObject({
  name: z.string(),
  kind: z.enum(["built-in", "custom"]),
  origin: z.string().nullable(),
  baseUrl: z.string(),
  environments: z.array(z.string()),
  client: clientSettings.nullable(),
});
export type ProviderView = z.infer<typeof providerView>;

export const answers = {
  secret: z.object({ secret: secretView }),
  secrets: z.object({ secrets: z.array(secretView) }),
  agent: z.object({ agent: agentView }),
  agents: z.object({ agents: z.array(agentView) }),
  deployment: z.object({
    agent: agentView,
    token: z.string(),
    expiresAt: z.string().nullable(),
    baseUrls: z.record(z.string(), z.string()),
  }),
  provider: z.object({ provider: z.looseObject({ name: z.string(), origin: z.string() }) }),
  providers: z.object({ providers: z.array(providerView) }),
  nothing: z.undefined(),
};

const problemBody = z.object({ detail: z.string(), code: z.string() });

/**
 * One call of the admin API, where the settings say that it is; the answer is checked against `schema`. Throws Failure
 * with a sentence that says what to do.
 */
export async function call<T>(
  schema: z.ZodType<T>,
  method: "GET" | "PUT" | "POST" | "DELETE",
  path: string,
  body?: unknown,
): Promise<T> {
  const config = readClientConfig();
  if (config.apiKey === undefined) {
    throw new Failure("no_api_key", `No API key. ${whereKeysComeFrom(config)}`);
  }
  const response = await send(config, config.apiKey, method, path, body);
  const answer = await readAnswer(response);
  if (response.ok) {
    const parsed = schema.safeParse(answer);
    if (parsed.success) return parsed.data;
  } else {
    const problem = problemBody.safeParse(answer);
    if (problem.success) {
      const { code, detail } = problem.data;
      const refused = response.status === 401;
      throw new Failure(
        code,
        refused ? `The API key was refused. ${whereKeysComeFrom(config)}` : detail,
      );
    }
  }
  throw new Failure(
    "unexpected_answer",
    `${config.adminUrl} answered ${response.status}, but not as this version of x3sproxy does.\n` +
      "Does X3SPROXY_ADMIN_URL name its admin address?",
  );
}

async function send(
  config: ClientConfig,
  apiKey: string,
  method: string,
  path: string,
  body: unknown,
): Promise<Response> {
  try {
    return await fetch(`${config.adminUrl}/api/v1${path}`, {
      method,
      headers: {
        authorization: `Bearer ${apiKey}`,
        ...(body !== undefined && { "content-type": "application/json" }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      redirect: "manual",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  } catch {
    throw new Failure(
      "unreachable",
      `The service does not answer at ${config.adminUrl}. Is \`npm start\` running?\n` +
        "If it is elsewhere: X3SPROXY_ADMIN_URL=https://… names it.",
    );
  }
}

async function readAnswer(response: Response): Promise<unknown> {
  try {
    const text = await response.text();
    return text === "" ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}

function whereKeysComeFrom({ dataDir }: ClientConfig): string {
  return (
    `On the service's machine its key is read from ${dataDir}/admin-api-key\n` +
    "(run this in the service's folder, or set X3SPROXY_DATA_DIR); elsewhere set X3SPROXY_API_KEY."
  );
}
