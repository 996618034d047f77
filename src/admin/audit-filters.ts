// What the audit's list and its exports can be narrowed by.
import { ACTIONS } from "../audit/index.ts";
import { likelyMeant } from "../spelling.ts";
import { instant, text } from "./names.ts";

const moment = instant.transform((at) => new Date(at));

// A misspelt one would find nothing, as if nothing had been done.
const action = text(100).superRefine((typed, context) => {
  if (typed === "" || ACTIONS.some((it) => it === typed)) return;
  const meant = likelyAction(typed);
  const hint = meant === undefined ? "docs/audit-events.md has all" : `did you mean ${meant}?`;
  context.addIssue({ code: "custom", message: `there is no such event; ${hint}` });
});

function likelyAction(typed: string): string | undefined {
  const dotted = typed.toLowerCase().replaceAll(/[\s:/-]+/g, ".");
  const most = Math.max(2, Math.floor(dotted.length / 4));
  const near = likelyMeant(dotted, ACTIONS, most);
  if (near !== undefined) return near;
  // The thing alone, or what was done alone, or the other way round.
  const parts = dotted.split(/[._]/).filter((part) => part.length > 2);
  return ACTIONS.find((name) => parts.length > 0 && parts.every((part) => name.includes(part)));
}

/** All that are given have to hold. */
export const auditFilters = {
  action: action.optional().describe("As `secret.set` or `agent.deploy`."),
  actor: text(300).optional().describe("Who did it: an id or a name."),
  target: text(300).optional().describe("To what: an id or a name."),
  from: moment.optional().describe("The earliest time."),
  to: moment.optional().describe("The time before which they happened."),
};
