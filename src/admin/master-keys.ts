// The master keys over REST: their ids, what is sealed under each, and the way from one to another. No route takes or gives a key.
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import type { MasterKeys } from "../vault/index.ts";
import { actorOf, callerOf } from "./funnel.ts";
import { time } from "./names.ts";
import { addRoute } from "./route.ts";

const keyId = z.string().regex(/^[0-9a-f]{16}$/, "16 hex digits: a master key's id, never the key");

const view = z.object({
  masterKeys: z.array(
    z.object({
      id: z.string(),
      active: z.boolean().describe("Whether it seals what is new."),
      createdAt: time,
      activatedAt: time.nullable().describe("Null: it was never the active one."),
      sealed: z.number().describe("How many values are sealed under it."),
      heldBy: z.number().describe("How many of the processes below hold it."),
    }),
  ),
  rotation: z.object({
    to: z.string(),
    state: z.enum(["running", "done"]),
    rewrapped: z
      .number()
      .describe("How many values came to it from other keys since it became active."),
    left: z.number().describe("How many values are sealed under other keys."),
    unreadable: z
      .number()
      .describe("How many of those can't be opened, as of the last round; the log names them."),
  }),
  processes: z
    .array(
      z.object({ id: z.string(), masterKeys: z.array(z.string()), startedAt: time, seenAt: time }),
    )
    .describe("Those that were seen within the last minute."),
});

export function addMasterKeyRoutes(
  app: FastifyInstance,
  { masterKeys }: { masterKeys: MasterKeys },
): void {
  addRoute(app, {
    method: "GET",
    path: "/master-keys",
    summary: "List the master keys by id, what is sealed under each, and which processes hold them",
    description:
      "For owners of the home workspace. A key under which nothing is sealed, and that isn't active, can be taken away from all processes.",
    permission: "owner",
    answer: view,
    handle: ({ request }) => masterKeys.list(callerOf(request).workspaceId),
  });

  addRoute(app, {
    method: "POST",
    path: "/master-keys/rotation",
    summary: "Make another master key the active one, and rewrap all data keys under it",
    description:
      "For owners of the home workspace. Answers at once; `GET /master-keys` tells how far it is. Without `to`: the only key that was never active. " +
      "All processes that run must hold it. Repeating it does nothing.",
    permission: "owner",
    fresh: true,
    body: z.strictObject({ to: keyId.optional() }),
    answer: view,
    handle: ({ body, request }) => masterKeys.rotate(actorOf(request), body.to),
  });
}
