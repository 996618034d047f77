// Facts of the schema that decide who may do what, and their kinds.

/** Who may do what; told without anybody's lock. In the order in which people are told. */
export const RIGHT_KINDS = [
  ...["role", "membership", "role setting", "outside right", "schema owner", "grant"],
  ...["default privilege", "database right", "row security"],
] as const;
/** What is there. */
export const CONTENT_KINDS = [
  ...["policy", "server setting", "function", "trigger", "rule", "object", "table", "column"],
  ...["constraint", "inheritance", "index", "publication", "subscription", "event trigger"],
] as const;

export type FactKind = (typeof RIGHT_KINDS)[number] | (typeof CONTENT_KINDS)[number];

export interface Fact {
  readonly kind: FactKind;
  /** Unique among its kind. A login of this database stands in it without the digest of the database's name. */
  readonly name: string;
  readonly is: string;
  /** The SQL that takes it away, or words where no statement does; names are as the server has them. */
  readonly undo: string;
  /** Of a right: who has it. */
  readonly grantee: string | null;
}
