// The shapes of names, ids and times as they come from a client and go to one, shared by the resources. Names are as in sql/.
import { z } from "zod";

export const providerName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, "give lower-case letters, digits and dashes");

export const environmentName = providerName;

export const agentName = z
  .string()
  .regex(
    /^[a-z0-9][a-z0-9._-]{0,62}$/,
    "give lower-case letters, digits, dots, dashes and underscores",
  );

export const workspaceName = providerName;
/** A moment in an answer: ISO 8601, UTC. */
export const time = z.string().meta({ format: "date-time" });

const FIRST_MS = Date.parse("0001-01-01T00:00:00Z");
const LAST_MS = Date.parse("9999-12-31T23:59:59.999Z");

/** A time in a query or a cursor, as text. Postgres has no year 0, and reads no year of five digits. */
export const instant = z.iso.datetime({ offset: true }).refine((text) => {
  const ms = Date.parse(text);
  return ms >= FIRST_MS && ms <= LAST_MS;
}, "give a time of the years 1 to 9999");
