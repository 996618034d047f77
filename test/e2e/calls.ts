// An agent's calls through a running service to the look-alike, and what came of each.
import type { RunningService } from "../support/service.ts";

export interface Outcome {
  readonly status: number;
  /** Why the proxy answered by itself, if it did. */
  readonly refusal: string | null;
  readonly retryAfter: string | null;
  /** The last four characters of the key that the look-alike says it was called with. */
  readonly keyEnding: string | undefined;
  readonly text: string;
  /** When the call was begun and when its answer was there, by performance.now(). */
  readonly startMs: number;
  readonly endMs: number;
}

/** Asks OpenAI's chat completions once. The look-alike's usual answer names the key. */
export async function ask(
  { proxyUrl }: Pick<RunningService, "proxyUrl">,
  token: string,
  said = "Who are you?",
): Promise<Outcome> {
  const startMs = performance.now();
  const response = await fetch(`${proxyUrl}/openai/v1/chat/completions`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify({ model: "look-alike", messages: [{ role: "user", content: said }] }),
  });
  const text = await response.text();
  return {
    status: response.status,
    refusal: response.headers.get("x3sproxy-refusal"),
    retryAfter: response.headers.get("retry-after"),
    keyEnding: /called with the key \S*…(\w{4})/.exec(text)?.[1],
    text,
    startMs,
    endMs: performance.now(),
  };
}

/** Asks every `everyMs`, whether or not the earlier answers are there, until it is stopped. */
export function keepAsking(
  service: Pick<RunningService, "proxyUrl">,
  token: string,
  everyMs: number,
): { readonly outcomes: readonly Outcome[]; stop(): Promise<void> } {
  const outcomes: Outcome[] = [];
  const open = new Set<Promise<void>>();
  const timer = setInterval(() => {
    const call = ask(service, token).then((outcome) => {
      outcomes.push(outcome);
      open.delete(call);
    });
    open.add(call);
  }, everyMs);
  return {
    outcomes,
    async stop() {
      clearInterval(timer);
      await Promise.all(open);
    },
  };
}

/** One call of the admin API, as the owner; gives the time at which it was answered. Throws unless it succeeds. */
export async function administer(
  { adminUrl, apiKey }: Pick<RunningService, "adminUrl" | "apiKey">,
  method: string,
  path: string,
  body?: unknown,
): Promise<number> {
  const response = await fetch(`${adminUrl}/api/v1${path}`, {
    method,
    headers: {
      authorization: `Bearer ${apiKey}`,
      ...(body !== undefined && { "content-type": "application/json" }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  if (!response.ok) throw new Error(`${method} ${path}: ${await response.text()}`);
  await response.body?.cancel();
  return performance.now();
}
