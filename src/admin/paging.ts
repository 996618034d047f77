// Lists in pages. A page goes on after the sort key of the last row of the one before, so that rows that come or go meanwhile neither
// repeat nor hide others. A cursor is opaque to clients and holds nothing but that key: it gives no right to any row.
import { z } from "zod";
import { MAX_CURSOR_LENGTH, text } from "../contract/index.ts";
import type { FoundPage, Page } from "../db/index.ts";
import { RequestError } from "../platform/errors.ts";
import type { LatestFirst, Placed } from "../identity/index.ts";
import { parseJson } from "../platform/unknown-values.ts";

// Of a sort key: whatever it is in its list, Postgres has to be able to read it.
const part = text(MAX_CURSOR_LENGTH);

/** The `total` of a page: counted for the first one alone, or a list that is read to its end would cost the square of its length. */
export async function totalOf(
  { cursor }: { readonly cursor?: string | undefined },
  page: { readonly rows: readonly unknown[]; readonly nextCursor: string | null },
  count: () => Promise<number>,
): Promise<number | null> {
  if (cursor !== undefined) return null;
  return page.nextCursor === null ? page.rows.length : count();
}

export interface Paging<Key extends Readonly<[string, ...string[]]>, Row> {
  /**
   * The page that a query asks for. `fetch` reads it, in the order of its key, or as much of it as a search finds in time: such a page
   * may have fewer rows, or none, and another one after it. Throws RequestError 422 `cursor_invalid` for a cursor that is not this list's.
   */
  read(
    query: { readonly limit: number; readonly cursor?: string | undefined },
    fetch: (page: Page<Key>) => Promise<readonly Row[] | FoundPage<Key, Row>>,
  ): Promise<{ rows: Row[]; nextCursor: string | null }>;
}

/** Pages of the list called `list`, whose rows are sorted by `keyOf`: text that `key` describes and that no two rows share. */
export function createPaging<Key extends Readonly<[string, ...string[]]>, Row>(
  list: string,
  key: z.ZodType<Key>,
  keyOf: (row: Row) => Key,
): Paging<Key, Row> {
  const content = z.tuple([z.literal(list), key]);
  const encode = (after: Key): string =>
    Buffer.from(JSON.stringify([list, after])).toString("base64url");
  const decode = (cursor: string): Key => {
    const parsed = content.safeParse(parseJson(Buffer.from(cursor, "base64url").toString("utf8")));
    const after = parsed.data?.[1];
    // Decoding passes over what is not base64url: only the one spelling that we give out is taken back.
    if (after !== undefined && encode(after) === cursor && part.array().safeParse(after).success) {
      return after;
    }
    throw new RequestError(
      422,
      "cursor_invalid",
      "This cursor is not one of this list's. Leave it out to begin anew.",
    );
  };
  return {
    async read({ limit, cursor }, fetch) {
      const after = cursor === undefined ? undefined : decode(cursor);
      // One more than is asked for shows whether another page follows.
      const found = await fetch({ after, limit: limit + 1 });
      const { rows, reached } = "rows" in found ? found : { rows: found, reached: undefined };
      const last = rows.length > limit ? rows[limit - 1] : undefined;
      const next = last === undefined ? reached : keyOf(last);
      return {
        rows: rows.slice(0, limit),
        nextCursor: next === undefined ? null : encode(next),
      };
    },
  };
}

const latestFirst = z.tuple([z.string().regex(/^\d{1,16}$/), z.guid()]);

/** Pages of a list whose rows say their place themselves, the latest first. */
export function createLatestFirstPaging<View>(list: string): Paging<LatestFirst, Placed<View>> {
  return createPaging(list, latestFirst, ({ place }: Placed<View>) => place);
}
