// What the tests of limits share: changing limits as the control plane does, and calls that say how they were refused.
import { withOwner } from "../../src/db/connection.ts";
import type { WorkspaceLimits } from "../../src/limits/index.ts";
import { actorIn } from "./actor.ts";
import type { Answer } from "./attack.ts";
import { ask } from "./attack.ts";
import type { DataPlane } from "./data-plane.ts";

type SomeLimits = Partial<WorkspaceLimits>;

export async function limitAgent(
  plane: DataPlane,
  name: string,
  limits: Omit<SomeLimits, "openWebsockets">,
): Promise<void> {
  await plane.agents.changeScope(actorIn(plane.workspaceId), name, { limits });
}

/** What is left out has no limit. */
export async function limitWorkspace(plane: DataPlane, limits: SomeLimits): Promise<void> {
  const { requestsPerMinute = null, openStreams = null } = limits;
  const { bytesPerMinute = null, openWebsockets = null } = limits;
  await withOwner(
    plane.ownerUrl,
    (sql) => sql`
      update x3sproxy.workspaces set
        requests_per_minute = ${requestsPerMinute}, open_streams = ${openStreams},
        bytes_per_minute = ${bytesPerMinute}, open_websockets = ${openWebsockets}
      where id = ${plane.workspaceId}`,
  );
}

/** One plain call. */
export function get(plane: Pick<DataPlane, "port">, token: string): Promise<Answer> {
  return ask(plane.port, ["GET /openai/v1/models HTTP/1.1", `Authorization: Bearer ${token}`]);
}

/** One plain call's refusal, or undefined. */
export async function refusalOf(
  plane: Pick<DataPlane, "port">,
  token: string,
): Promise<string | undefined> {
  return (await get(plane, token)).header("x3sproxy-refusal");
}

export async function metric(
  plane: Pick<DataPlane, "metrics">,
  name: "limitsShared" | "limitsFallbacks",
): Promise<number> {
  return (await plane.metrics[name].get()).values[0]?.value ?? 0;
}
