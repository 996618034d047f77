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
