// Who am I, and the first user.
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import type { Identity } from "../identity/index.ts";
import { callerOf } from "./funnel.ts";

const setupBody = z.strictObject({
  token: z.string().max(200),
  email: z.email().max(254),
  password: z.string().max(4096),
});

export function addIdentityRoutes(
  app: FastifyInstance,
  { identity }: { identity: Identity },
): void {
  app.get("/api/v1/whoami", { config: { permission: "viewer" } }, (request) => {
    const { id, name, role, workspaceId } = callerOf(request);
    return { id, name, role, workspaceId };
  });

  app.post("/api/v1/setup", { config: { permission: "link" } }, async (request, reply) => {
    const { token, email, password } = setupBody.parse(request.body);
    const user = await identity.createFirstUser({ setupToken: token, email, password });
    reply.code(201);
    return { user: { id: user.id, email: user.email, role: "owner" } };
  });
}
