// Lists in pages. A page begins after the sort key of the previous page's last row, so rows that are added or deleted in between neither
// repeat nor hide others. A cursor is opaque to clients and holds only that key. It grants no access to any row.
import { z } from "zod";
import { MAX_CURSOR_LENGTH, text } from "../contract/index.ts";
import type { FoundPage, Page } from "../db/index.ts";
import { RequestError } from "../platform/errors.ts";
import type { LatestFirst, Placed } from "../identity/index.ts";
import { parseJson } from "../platform/unknown-values.ts";

// A part of a sort key. Postgres must be able to read it.
const part = text(MAX_CURSOR_LENGTH);

/** The `total` of a list, only on its first page: counting for each page would cost the square of the list's length. */
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
   * The page that a query asks for. `fetch` reads it in the order of its key. A search reads only what it finds in time: its page may
   * have fewer rows, or none, and still a next page. Throws RequestError 422 `cursor_invalid` if the cursor is not one of this list.
   */
  read(
    query: { readonly limit: number; readonly cursor?: string | undefined },
    fetch: (page: Page<Key>) => Promise<readonly Row[] | FoundPage<Key, Row>>,
  ): Promise<{ rows: Row[]; nextCursor: string | null }>;
}

/** Pages of the list called `list`, sorted by `keyOf`: a text of the form `key`, different for each row. */
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
    // Buffer skips characters that are not base64url. Accept only the spelling that we give out.
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
      // Read one row more, to see whether another page follows.
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

/** Pages of a list whose rows have their sort key in `place`, latest first. */
export function createLatestFirstPaging<View>(list: string): Paging<LatestFirst, Placed<View>> {
  return createPaging(list, latestFirst, ({ place }: Placed<View>) => place);
}
