// The audit over REST: read only. What is in an event was chosen where it was recorded; nothing is added here.
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import type { Audit, AuditEventView } from "../audit/index.ts";
import { callerOf } from "./funnel.ts";
import { time } from "./names.ts";
import { createPaging, nextCursor, pageParameters } from "./paging.ts";
import { addRoute } from "./route.ts";

const moment = z.iso.datetime({ offset: true }).transform((text) => new Date(text));

const listQuery = z.strictObject({
  ...pageParameters,
  action: z.string().max(100).optional().describe("As `secret.set` or `agent.deploy`."),
  actor: z.string().max(300).optional().describe("Who did it: an id or a name."),
  target: z.string().max(300).optional().describe("To what: an id or a name."),
  from: moment.optional().describe("The earliest time."),
  to: moment.optional().describe("The time before which they happened."),
});

const eventView = z
  .object({
    id: z.string().describe("Grows with time."),
    at: time,
    actor: z.object({
      kind: z.string().describe("`user`, `api_key`, `link` or `service`."),
      id: z.string().nullable(),
      name: z.string().describe("A user's e-mail address, or an API key's name."),
    }),
    address: z.string().nullable().describe("The client's."),
    method: z.string().describe("How the actor proved who it is, as `session` or `api_key`."),
    action: z.string(),
    target: z.object({ kind: z.string(), id: z.string(), name: z.string() }),
    beforeHash: z
      .string()
      .nullable()
      .describe("SHA-256 of the target as it was, in the form that may be shown; null: not there."),
    afterHash: z.string().nullable().describe("The same of what it became."),
    result: z.string().describe("`done`, or why not; of `agent.unusual`, what was used."),
  })
  .meta({ id: "AuditEvent" });

const pages = createPaging(
  "events",
  z.tuple([z.string().regex(/^[1-9][0-9]{0,17}$/)]),
  ({ id }: AuditEventView) => [id],
);

export function addAuditRoutes(app: FastifyInstance, { audit }: { audit: Audit }): void {
  addRoute(app, {
    method: "GET",
    path: "/audit",
    summary: "List what was changed, by whom and from where, newest first",
    description: "All filters that are given have to hold.",
    permission: "audit",
    query: listQuery,
    answer: z.object({ events: z.array(eventView), nextCursor }),
    async handle({ query, request }) {
      const { workspaceId } = callerOf(request);
      const { rows, nextCursor } = await pages.read(query, ({ after, limit }) =>
        audit.list(workspaceId, { ...query, before: after?.[0] }, limit),
      );
      return { events: rows, nextCursor };
    },
  });
}
