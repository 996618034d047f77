// The audit over REST: read only. What is in an event was chosen where it was recorded; nothing is added here.
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import type { Audit, AuditEventView, AuditProofs, Erasures } from "../audit/index.ts";
import { addAuditErasures } from "./audit-erasures.ts";
import { addAuditExport } from "./audit-export.ts";
import { auditFilters } from "./audit-filters.ts";
import { callerOf } from "./funnel.ts";
import { time } from "./names.ts";
import { createPaging, nextCursor, pageParameters } from "./paging.ts";
import { addRoute } from "./route.ts";

const listQuery = z.strictObject({ ...pageParameters, ...auditFilters });

const eventId = z.string().regex(/^[1-9][0-9]{0,17}$/);

const eventView = z
  .object({
    id: z.string().describe("Grows with time."),
    at: time,
    actor: z.object({
      kind: z.string().describe("`user`, `api_key`, `link`, `agent` or `service`."),
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
      .describe("Of events of earlier versions: SHA-256 of the target as it was. Null since then."),
    afterHash: z.string().nullable().describe("The same of what it became."),
    result: z.string().describe("`done`, or why not; of `agent.unusual`, what was used."),
    detail: z
      .string()
      .nullable()
      .describe(
        "What changed, as in `providers`: `openai → openai, anthropic`, and what else there is to know: a JSON object, as text.",
      ),
    index: z.int().nullable().describe("Its place in the tree; null: it isn't sealed yet."),
    erased: z
      .array(z.enum(["actor", "target"]))
      .describe("What was erased on a person's request: its id and name are empty."),
  })
  .meta({ id: "AuditEvent" });

const prunedBefore = z
  .object({
    index: z.number().describe("The place in the tree of the first event that is left."),
    at: time.describe("Events before were pruned."),
    days: z.number().describe("The retention under which they were."),
  })
  .nullable()
  .describe("Null: nothing was pruned.");

const pages = createPaging(
  "events",
  z.tuple([z.string().regex(/^\d{1,16}$/), eventId]),
  ({ place }: AuditEventView) => place,
);

const verifierKey = z
  .string()
  .describe(
    "What verifies the log's checkpoints, as C2SP signed notes have it. Not a secret: keep it elsewhere.",
  );
const proof = z.array(z.string()).describe("Hashes in base64, as RFC 6962 orders them.");

export function addAuditRoutes(
  app: FastifyInstance,
  { audit, auditProofs, erasures }: { audit: Audit; auditProofs: AuditProofs; erasures: Erasures },
): void {
  addRoute(app, {
    method: "GET",
    path: "/audit",
    summary: "List what was changed, by whom and from where, newest first",
    description:
      "All filters that are given have to hold. With several of them a page may have fewer events than `limit`, or none, though older " +
      "ones follow: only `nextCursor` says whether there is more.",
    permission: "audit",
    query: listQuery,
    answer: z.object({ events: z.array(eventView), nextCursor, prunedBefore }),
    async handle({ query, request }) {
      const { workspaceId } = callerOf(request);
      const { rows, nextCursor } = await pages.read(query, (page) =>
        audit.list(workspaceId, query, page),
      );
      return { events: rows, nextCursor, prunedBefore: await audit.pruned(workspaceId) };
    },
  });

  addRoute(app, {
    method: "GET",
    path: "/audit/checkpoint",
    summary: "Get the log's last checkpoint: its signed size and root",
    description:
      "A C2SP signed note. Keep it elsewhere: with it, `x3sproxy audit verify` finds a log that was rewritten or cut off later.",
    permission: "audit",
    query: z.strictObject({
      from: z.coerce
        .number()
        .int()
        .min(1)
        .max(Number.MAX_SAFE_INTEGER)
        .optional()
        .describe(
          "The size of an older checkpoint: the answer proves that the log begins with it.",
        ),
    }),
    answer: z.object({
      origin: z.string(),
      verifierKey,
      checkpoint: z.string().nullable().describe("Null: nothing is sealed yet."),
      size: z.int().describe("In events."),
      waiting: z.int().describe("Events that are not sealed yet."),
      consistency: z.object({ from: z.int(), proof }).nullable(),
    }),
    handle: ({ query, request }) =>
      auditProofs.checkpoint(callerOf(request).workspaceId, query.from),
  });

  addRoute(app, {
    method: "GET",
    path: "/audit/:event/proof",
    summary: "Prove that an event is in the log",
    description:
      "The event as it was sealed, and the hashes that lead from it to the root in the checkpoint.",
    permission: "audit",
    params: z.object({ event: eventId }),
    unknown: "event_not_found",
    answer: z.object({
      event: z.looseObject({}).describe("As in an export: docs/audit.md has the form."),
      index: z.int(),
      size: z.int(),
      checkpoint: z.string(),
      verifierKey,
    }),
    handle: ({ params, request }) => auditProofs.proof(callerOf(request).workspaceId, params.event),
  });

  addAuditExport(app, { auditProofs });
  addAuditErasures(app, { erasures });
}
