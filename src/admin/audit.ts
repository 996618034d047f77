// The audit over REST: lists, proofs and erasures of people. It shows events as they were recorded and adds nothing to them.
import { z } from "zod";
import {
  ACTIONS,
  type Audit,
  type AuditEventView,
  type AuditProofs,
  type Erasures,
} from "../audit/index.ts";
import { eventId, type AuditRoutes } from "../contract/index.ts";
import { RequestError } from "../platform/errors.ts";
import { likelyMeant } from "../platform/spelling.ts";
import { actorOf, callerOf } from "./funnel.ts";
import { createPaging } from "./paging.ts";
import type { HandlersOf } from "./route.ts";

const pages = createPaging(
  "events",
  z.tuple([z.string().regex(/^\d{1,16}$/), eventId]),
  ({ place }: AuditEventView) => place,
);

export function auditHandlers({
  audit,
  auditProofs,
  erasures,
}: {
  audit: Audit;
  auditProofs: AuditProofs;
  erasures: Erasures;
}): Omit<HandlersOf<AuditRoutes>, "GET /audit/export"> {
  return {
    "GET /audit": async ({ query, request }) => {
      const { workspaceId } = callerOf(request);
      refuseUnknownAction(query.action);
      const { rows, nextCursor } = await pages.read(query, (page) =>
        audit.list(workspaceId, query, page),
      );
      return { events: rows, nextCursor, prunedBefore: await audit.pruned(workspaceId) };
    },

    "GET /audit/checkpoint": ({ query, request }) =>
      auditProofs.checkpoint(callerOf(request).workspaceId, query.from),

    "GET /audit/:event/proof": ({ params, request }) =>
      auditProofs.proof(callerOf(request).workspaceId, params.event),

    "POST /audit/erasures": async ({ body, request }) => ({
      erasure: await erasures.erase(actorOf(request), body.user),
    }),
  };
}

/** Throws RequestError 422 for an unknown action. An empty list would look as if nothing had been done. */
export function refuseUnknownAction(typed: string | undefined): void {
  if (typed === undefined || typed === "" || ACTIONS.some((it) => it === typed)) return;
  const meant = likelyAction(typed);
  const hint = meant === undefined ? "docs/audit-events.md has all" : `did you mean ${meant}?`;
  throw new RequestError(422, "invalid_request", `action: there is no such event; ${hint}.`);
}

function likelyAction(typed: string): string | undefined {
  const dotted = typed.toLowerCase().replaceAll(/[\s:/-]+/g, ".");
  const most = Math.max(2, Math.floor(dotted.length / 4));
  const near = likelyMeant(dotted, ACTIONS, most);
  if (near !== undefined) return near;
  // They typed only one of the name's parts, or both in the other order.
  const parts = dotted.split(/[._]/).filter((part) => part.length > 2);
  return ACTIONS.find((name) => parts.length > 0 && parts.every((part) => name.includes(part)));
}
