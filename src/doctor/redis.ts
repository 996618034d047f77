// The Redis by which processes share what is used of limits.
import { createClient } from "@redis/client";
import type { Config } from "../platform/config.ts";
import { failureOf, type Findings } from "./finding.ts";

const WITHIN_MS = 3000;

export async function checkRedis({ redisUrl }: Config, findings: Findings): Promise<void> {
  if (redisUrl === undefined) return;
  const late = Promise.withResolvers<never>();
  // The package's own limit ends when the connection is made, before anything was answered.
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

/** A refusal of Redis begins with a word in capitals that says which (WRONGPASS, NOAUTH): the rest of it is not for print. */
function reasonOf(error: unknown): string {
  const word = error instanceof Error ? /^[A-Z]{4,20}(?= )/.exec(error.message)?.[0] : undefined;
  return word ?? failureOf(error);
}
