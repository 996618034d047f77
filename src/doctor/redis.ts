// The Redis by which processes share what is used of limits.
import { createClient } from "@redis/client";
import type { Config } from "../config.ts";
import { codeOf, type Findings } from "./finding.ts";

export async function checkRedis({ redisUrl }: Config, findings: Findings): Promise<void> {
  if (redisUrl === undefined) return;
  const client = createClient({
    url: redisUrl,
    socket: { connectTimeout: 3000, reconnectStrategy: false },
  });
  client.on("error", () => undefined);
  try {
    await client.connect();
    await client.ping();
    findings.ok("Network", "redis", "Redis answers.");
  } catch (error) {
    findings.add("Network", "warning", "redis", {
      what: `The Redis of REDIS_URL doesn't answer (${codeOf(error)}).`,
      why: "Each process counts for itself: agents get their limits once a process.",
      fix: "Start it, or mend REDIS_URL",
    });
  } finally {
    client.destroy();
  }
}
