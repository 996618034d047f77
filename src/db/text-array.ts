// text[] on the wire, both ways: the package learns array types only by a query on every new connection, whose
// failure nobody could catch.

const TEXT_ARRAY_OID = 1009;

/** The type to register with the `postgres` package. Nulls inside an array are not ours and refuse to parse. */
export const textArray = {
  to: TEXT_ARRAY_OID,
  from: [TEXT_ARRAY_OID],
  serialize(values: readonly string[]): string {
    return `{${values.map((value) => `"${value.replace(/["\\]/g, "\\$&")}"`).join(",")}}`;
  },
  /** Reads the text form of a one-dimensional array (PostgreSQL manual, 8.15.6). */
  parse(text: string): string[] {
    const values: string[] = [];
    for (const [, quoted, bare] of text.slice(1, -1).matchAll(/"((?:[^"\\]|\\.)*)"|([^,{}"]+)/gs)) {
      if (bare === "NULL") throw new Error("a null inside a text[]");
      values.push(bare ?? (quoted ?? "").replace(/\\(.)/gs, "$1"));
    }
    return values;
  },
};
