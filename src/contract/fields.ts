// Schemas of names, texts, times and people that several resources share. The rules for names are the same as in sql/.
import { z } from "zod";
import { VISIBLE_LINE } from "../platform/visible-text.ts";
import { ROLES } from "./permissions.ts";

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

/** An agent's token, in an answer. */
export const agentToken = z
  .string()
  .regex(/^x3sproxy_[A-Za-z0-9]{32}$/)
  .describe("`x3sproxy_…`: shown here and nowhere else.");

const NUL = "\\u0000";
const KEPT = new RegExp(`^(?:[^${NUL}\\ud800-\\udfff]|[\\ud800-\\udbff][\\udc00-\\udfff])*$`);

/** Any text that Postgres can store: without U+0000 and lone surrogates. For searches; stored texts are a `line`. */
export const text = (maxLength: number) =>
  z.string().max(maxLength).regex(KEPT, "give a text without U+0000");

/** One line that is shown to people: without invisible characters, or those that change how others are shown. */
export const line = (maxLength: number) =>
  z.string().max(maxLength).regex(VISIBLE_LINE, "give one line of visible characters");

export const workspaceName = providerName;
/** A moment in an answer: ISO 8601, UTC. */
export const time = z.string().meta({ format: "date-time" });

const FIRST_MS = Date.parse("0001-01-01T00:00:00Z");
const LAST_MS = Date.parse("9999-12-31T23:59:59.999Z");

/** A time in a query or a cursor. Postgres has no year 0, and can't read a year of five digits. */
export const instant = z.iso
  .datetime({ offset: true, abort: true, error: "give a time as in 2027-01-31T12:00:00Z" })
  .refine((text) => isBetween(text, FIRST_MS), "give a time of the years 1 to 9999");

/** A time that is stored, in UTC. Earlier years are useless, and JavaScript misreads the years before 100. */
export const keptInstant = z.iso
  .datetime({ abort: true, error: "give a time as in 2027-01-31T12:00:00Z" })
  .refine((text) => isBetween(text, 0), "give a time of the years 1970 to 9999");

function isBetween(text: string, firstMs: number): boolean {
  const ms = Date.parse(text);
  return ms >= firstMs && ms <= LAST_MS;
}

export const role = z.enum(ROLES);

const MAX_AGENTS = 200;

/** Names of agents that a role is limited to. Null: it is not. */
export const agentLimit = z.array(agentName).min(1).max(MAX_AGENTS).nullable();

/** An e-mail address, in its canonical spelling. */
export const email = z
  .string()
  .trim()
  .toLowerCase()
  .pipe(z.email().max(254))
  .meta({ format: "email", maxLength: 254 });
