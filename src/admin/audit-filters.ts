// What the audit's list and its exports can be narrowed by.
import { instant, text } from "./names.ts";

const moment = instant.transform((at) => new Date(at));

/** All that are given have to hold. */
export const auditFilters = {
  action: text(100).optional().describe("As `secret.set` or `agent.deploy`."),
  actor: text(300).optional().describe("Who did it: an id or a name."),
  target: text(300).optional().describe("To what: an id or a name."),
  from: moment.optional().describe("The earliest time."),
  to: moment.optional().describe("The time before which they happened."),
};
