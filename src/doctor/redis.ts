// Checks the Redis in which processes share the counts of limits.
import { createClient } from "@redis/client";
import type { Config } from "../platform/config.ts";
import { failureOf, type Findings } from "./finding.ts";

const WITHIN_MS = 3000;

export async function checkRedis({ redisUrl }: Config, findings: Findings): Promise<void> {
  if (redisUrl === undefined) return;
  const late = Promise.withResolvers<never>();
  // The package's own timeout covers only the connection, not the first answer.
  const timer = setTimeout(() => late.reject(new Error("no answer")), WITHIN_MS);
  const client = createClient({
    url: redisUrl,
    socket: { connectTimeout: WITHIN_MS, reconnectStrategy: false },
  });
  client.on("error", () => undefined);
  try {
    await Promise.race([client.connect().then(() => client.ping()), late.promise]);
    findings.ok("Network", "redis", "Redis answers.");
  } catch (error) {
    findings.add("Network", "warning", "redis", {
      what: `The Redis of REDIS_URL can't be used (${reasonOf(error)}).`,
      why: "Each process counts for itself: agents get their limits once a process.",
      fix: "Start it, or mend REDIS_URL: its host, user and password",
    });
  } finally {
    clearTimeout(timer);
    client.destroy();
  }
}

/** Redis's refusals begin with a word in capitals (WRONGPASS, NOAUTH). Show only that word. */
function reasonOf(error: unknown): string {
  const word = error instanceof Error ? /^[A-Z]{4,20}(?= )/.exec(error.message)?.[0] : undefined;
  return word ?? failureOf(error);
}
