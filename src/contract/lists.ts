// The query parameters and answer fields of all lists: paging, counting, searching.
import { z } from "zod";
import { text } from "./fields.ts";

const MAX_LIMIT = 200;
const DEFAULT_LIMIT = 100;
export const MAX_CURSOR_LENGTH = 1000;

/** The query parameters that every list takes; a list with filters puts its own beside them. */
export const pageParameters = {
  limit: z.coerce
    .number()
    .int()
    .min(1)
    .max(MAX_LIMIT)
    .default(DEFAULT_LIMIT)
    .describe("How many at most."),
  cursor: z
    .string()
    .max(MAX_CURSOR_LENGTH)
    .optional()
    .describe("`nextCursor` of the page before; absent: the first page."),
};

export const pageQuery = z.strictObject(pageParameters);

/** Stands beside the rows in every list's answer. */
export const nextCursor = z
  .string()
  .nullable()
  .describe("Give it as `cursor` for the next page; null: this is the last.");

/** Stands beside the rows of a list that is counted. */
export const total = z
  .int()
  .nullable()
  .describe("How many rows fit, over all pages. Null: it was told with the first page.");

/** What a list that can be searched takes beside its page. */
export const searchParameter = {
  query: text(200)
    .optional()
    .describe("Only what has each of these words in it, upper and lower case alike."),
};
