// What the audit's list and its exports can be narrowed by.
import { z } from "zod";
import { instant } from "./names.ts";

const moment = instant.transform((text) => new Date(text));

/** All that are given have to hold. */
export const auditFilters = {
  action: z.string().max(100).optional().describe("As `secret.set` or `agent.deploy`."),
  actor: z.string().max(300).optional().describe("Who did it: an id or a name."),
  target: z.string().max(300).optional().describe("To what: an id or a name."),
  from: moment.optional().describe("The earliest time."),
  to: moment.optional().describe("The time before which they happened."),
};
