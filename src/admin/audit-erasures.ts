// Erasing people from the audit over REST.
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import type { Erasures } from "../audit/index.ts";
import { actorOf } from "./funnel.ts";
import { text } from "./names.ts";
import { addRoute } from "./route.ts";

export function addAuditErasures(app: FastifyInstance, { erasures }: { erasures: Erasures }): void {
  addRoute(app, {
    method: "POST",
    path: "/audit/erasures",
    summary: "Erase a deleted user from the audit, on that person's request",
    description:
      "Who they are and where they came from goes out of the events; what was done, and when, stays, and the log still verifies. What else " +
      "names them (invitations, registrations, names of API keys, labels, contexts of calls) is changed or deleted. Can't be undone. Does " +
      "nothing when there is nothing of them any more.",
    permission: "owner",
    fresh: true,
    body: z.strictObject({
      user: text(300).describe("The user's id or e-mail address."),
    }),
    example: { user: "ada@example.com" },
    answer: z.object({
      erasure: z.object({
        parts: z.number().describe("Of events: who did it, or to whom."),
        waiting: z.number().describe("Parts that are left; ask again for them."),
        others: z.number().describe("Rows beside the audit that were changed or deleted."),
      }),
    }),
    handle: async ({ body, request }) => ({
      erasure: await erasures.erase(actorOf(request), body.user),
    }),
  });
}
