// The facts of the schema that decide who may do what, and their kinds.

/** Kinds about rights. They are read without any lock. In the order of the report. */
export const RIGHT_KINDS = [
  ...["role", "membership", "role setting", "outside right", "schema owner", "grant"],
  ...["default privilege", "database right", "row security"],
] as const;
/** Kinds about the schema's content. */
export const CONTENT_KINDS = [
  ...["policy", "server setting", "function", "trigger", "rule", "object", "table", "column"],
  ...["constraint", "inheritance", "index", "publication", "subscription", "event trigger"],
] as const;

export type FactKind = (typeof RIGHT_KINDS)[number] | (typeof CONTENT_KINDS)[number];

export interface Fact {
  readonly kind: FactKind;
  /** Unique within its kind. Names of this database's logins stand without the database's digest. */
  readonly name: string;
  readonly is: string;
  /** The SQL that removes it, or words if no statement can; with the server's names. */
  readonly undo: string;
  /** The role that has a right. */
  readonly grantee: string | null;
}
