// Who makes the changes of a test that goes around the REST API.
import type { Actor } from "../../src/audit/index.ts";

export function actorIn(workspaceId: string): Actor {
  return {
    workspaceId,
    kind: "service",
    id: null,
    name: "test",
    address: null,
    method: "test",
  };
}
