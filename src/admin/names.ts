// The shapes of names and ids as they come from a client, shared by the resources. The same as in sql/.
import { z } from "zod";
import { RequestError } from "../errors.ts";

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

/** A name or id from the path. One that can't exist is as unknown as one that doesn't. */
export function fromPath<T>(schema: z.ZodType<T>, value: unknown, code: string): T {
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw new RequestError(404, code, "There is nothing of this name.");
  return parsed.data;
}
