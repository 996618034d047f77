// The audit: lists, exports, proofs, and erasures of people.
import { z } from "zod";
import type { Routes } from "./declaration.ts";
import { instant, text, time } from "./fields.ts";
import { nextCursor, pageParameters } from "./lists.ts";

const moment = instant.transform((at) => new Date(at));

/** Every given filter has to match. */
const auditFilters = {
  action: text(100).optional().describe("As `secret.set` or `agent.deploy`."),
  actor: text(300).optional().describe("Who did it: an id or a name."),
  target: text(300).optional().describe("To what: an id or a name."),
  from: moment.optional().describe("The earliest time."),
  to: moment.optional().describe("The time before which they happened."),
};

const listQuery = z.strictObject({ ...pageParameters, ...auditFilters });

export const eventId = z.string().regex(/^[1-9][0-9]{0,17}$/);

const auditEvent = z
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
export type AuditEvent = z.infer<typeof auditEvent>;

const prunedBefore = z
  .object({
    index: z.number().describe("The place in the tree of the first event that is left."),
    at: time.describe("Events before were pruned."),
    days: z.number().describe("The retention under which they were."),
  })
  .nullable()
  .describe("Null: nothing was pruned.");
export type PrunedBefore = NonNullable<z.infer<typeof prunedBefore>>;

const verifierKey = z
  .string()
  .describe(
    "What verifies the log's checkpoints, as C2SP signed notes have it. Not a secret: keep it elsewhere.",
  );
const proof = z.array(z.string()).describe("Hashes in base64, as RFC 6962 orders them.");

export const auditRoutes = {
  "GET /audit": {
    summary: "List what was changed, by whom and from where, newest first",
    description:
      "All filters that are given have to hold. With several of them a page may have fewer events than `limit`, or none, though older " +
      "ones follow: only `nextCursor` says whether there is more.",
    permission: "audit",
    query: listQuery,
    answer: z.object({ events: z.array(auditEvent), nextCursor, prunedBefore }),
  },

  "GET /audit/checkpoint": {
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
  },

  "GET /audit/:event/proof": {
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
  },

  "GET /audit/export": {
    summary: "Export events, oldest first, as JSON Lines or CSV",
    description:
      "All events, or those for which all filters that are given hold. JSON Lines is what `x3sproxy audit verify` verifies; docs/audit.md has its form. " +
      "An answer that breaks off is not whole. The export itself is recorded, before its first byte. At most 4 of a workspace at a time: else 503 `busy`.",
    permission: "audit",
    query: z.strictObject({
      ...auditFilters,
      format: z.enum(["jsonl", "csv"]).default("jsonl"),
    }),
    streams: ["application/jsonl", "text/csv"],
    success: [200],
  },

  "POST /audit/erasures": {
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
  },
} satisfies Routes;
export type AuditRoutes = typeof auditRoutes;
