// The format inside of a sealed backup, lines of UTF-8: the header (JSON), each table as `{"table":…}`, its rows in the COPY text format of
// Postgres and `\.`, and the trailer with a hash of all before it. Must not know the database or the sealing.
import { createHash } from "node:crypto";
import { z } from "zod";

export const FORMAT = "x3sproxy backup";
export const VERSION = 1;

const name = z.string().regex(/^[a-z_][a-z0-9_]{0,62}$/);
const count = z.int().min(0);

const headerSchema = z.object({
  format: z.literal(FORMAT),
  version: z.int(),
  /** The id of this backup, which the audit names. */
  id: z.guid(),
  createdAt: z.iso.datetime(),
  /** The version of x3sproxy. */
  product: z.string(),
  /** The migrations that had been applied, in order. */
  migrations: z.array(z.object({ name: z.string(), sha256: z.string() })).min(1),
  /** The master keys needed to open what is sealed in it. `check` (base64) opens only under that key. */
  masterKeys: z.array(z.object({ id: z.string(), check: z.base64() })),
  /** Ordered so that foreign keys hold. */
  tables: z.array(z.object({ name, columns: z.array(name).min(1), rows: count })),
  sequences: z.array(z.object({ name, last: z.string().regex(/^\d{1,19}$/), used: z.boolean() })),
});
export type Header = z.infer<typeof headerSchema>;

const trailerSchema = z.object({ rows: count, sha256: z.string() });

/** A summary of a complete backup. */
export interface Contents {
  readonly header: Header;
  /** The number of rows of all tables. */
  readonly rows: number;
  /** The hash of everything before the trailer, lower-case hex. */
  readonly sha256: string;
}

/** The input is not a backup, or not a complete one. The message says which. */
export class ContainerError extends Error {
  override name = "ContainerError";
}

const NEWLINE = 10;
const END_OF_ROWS = "\\.";
const PIECE_BYTES = 64 * 1024;
// Much longer than any row.
const MAX_LINE_BYTES = 16 * 1024 * 1024;

/** Writes a backup in pieces of about 64 KiB, one after the other. */
export class ContainerWriter {
  readonly #write: (piece: Buffer) => Promise<void>;
  readonly #hash = createHash("sha256");
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #rows = 0;

  constructor(write: (piece: Buffer) => Promise<void>) {
    this.#write = write;
  }

  async header(header: Header): Promise<void> {
    await this.#line(JSON.stringify(header));
  }

  /** `chunks`: the rows in COPY's text format, split anywhere. */
  async table(name: string, chunks: AsyncIterable<Buffer>): Promise<void> {
    await this.#line(JSON.stringify({ table: name }));
    for await (const chunk of chunks) {
      this.#rows += countLines(chunk);
      await this.#add(chunk);
    }
    await this.#line(END_OF_ROWS);
  }

  /** The content of the trailer. */
  summary(): { rows: number; sha256: string } {
    return { rows: this.#rows, sha256: this.#hash.copy().digest("hex") };
  }

  async end(): Promise<void> {
    this.#waiting.push(Buffer.from(`${JSON.stringify(this.summary())}\n`, "utf8"));
    await this.#flush();
  }

  #line(text: string): Promise<void> {
    return this.#add(Buffer.from(`${text}\n`, "utf8"));
  }

  async #add(bytes: Buffer): Promise<void> {
    this.#hash.update(bytes);
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    if (this.#waitingBytes >= PIECE_BYTES) await this.#flush();
  }

  async #flush(): Promise<void> {
    const piece = Buffer.concat(this.#waiting);
    this.#waiting = [];
    this.#waitingBytes = 0;
    await this.#write(piece);
  }
}

/** Handles the parts of a backup while it is read, one after the other. */
export interface ContainerReader {
  header?(header: Header): Promise<void> | void;
  beginTable?(name: string): Promise<void> | void;
  /** Gets whole rows in COPY's text format. */
  rows?(rows: Buffer): Promise<void> | void;
  endTable?(): Promise<void> | void;
}

/** Reads a backup to its end. Throws ContainerError when it isn't complete and consistent; the reader may have got parts of it by then. */
export async function readContainer(
  source: AsyncIterable<Uint8Array>,
  reader: ContainerReader,
): Promise<Contents> {
  const hash = createHash("sha256");
  // The index of the current table, whether its rows are being read, and the rows so far.
  const at = { open: -1, inRows: false, tableRows: 0, total: 0 };
  const end: { trailer?: z.infer<typeof trailerSchema> } = {};
  const begin: { header?: Header } = {};

  const takeLine = async (line: Buffer): Promise<void> => {
    if (end.trailer !== undefined)
      throw new ContainerError("there is something behind the backup's end");
    const text = line.toString("utf8", 0, line.length - 1);
    const { header } = begin;
    if (header === undefined) {
      begin.header = parseHeader(text);
      await reader.header?.(begin.header);
    } else if (at.inRows) {
      // Rows don't come here, so this is the end of the table.
      const declared = header.tables[at.open];
      if (declared?.rows !== at.tableRows) throw damaged();
      at.inRows = false;
      await reader.endTable?.();
    } else if (at.open === header.tables.length - 1) {
      const trailer = parseJson(trailerSchema, text);
      end.trailer = trailer;
      if (trailer.sha256 !== hash.digest("hex") || trailer.rows !== at.total) throw damaged();
      return;
    } else {
      at.open += 1;
      const declared = header.tables[at.open]?.name ?? "";
      if (parseJson(z.object({ table: z.string() }), text).table !== declared) throw damaged();
      at.inRows = true;
      at.tableRows = 0;
      await reader.beginTable?.(declared);
    }
    hash.update(line);
  };

  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of source) {
    const bytes = rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([rest, chunk]);
    let start = 0;
    let runStart = 0;
    const takeRows = async (end: number): Promise<void> => {
      if (end <= runStart) return;
      const run = bytes.subarray(runStart, end);
      hash.update(run);
      await reader.rows?.(run);
    };
    for (;;) {
      const newline = bytes.indexOf(NEWLINE, start);
      if (newline < 0) break;
      const lineEnd = newline + 1;
      const isEnd =
        newline - start === 2 && bytes.toString("latin1", start, newline) === END_OF_ROWS;
      if (at.inRows && !isEnd) {
        at.tableRows += 1;
        at.total += 1;
      } else {
        await takeRows(start);
        await takeLine(bytes.subarray(start, lineEnd));
        runStart = lineEnd;
      }
      start = lineEnd;
    }
    await takeRows(start);
    rest = bytes.subarray(start);
    if (rest.length > MAX_LINE_BYTES) throw new ContainerError("this is not a backup of x3sproxy");
  }
  const { header } = begin;
  const { trailer } = end;
  if (header === undefined) throw new ContainerError("this is not a backup of x3sproxy");
  if (trailer === undefined || rest.length > 0) {
    throw new ContainerError("the backup is cut off: its end is missing");
  }
  return { header, rows: trailer.rows, sha256: trailer.sha256 };
}

function parseHeader(text: string): Header {
  const stated = parseJson(
    z.object({ format: z.literal(FORMAT), version: z.int() }),
    text,
    "this is not a backup of x3sproxy",
  );
  if (stated.version > VERSION) {
    throw new ContainerError(
      `the backup has the form ${stated.version}, and this x3sproxy knows it up to ${VERSION}: take a newer one`,
    );
  }
  return parseJson(headerSchema, text);
}

function parseJson<T>(schema: z.ZodType<T>, text: string, otherwise?: string): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw otherwise === undefined ? damaged() : new ContainerError(otherwise);
}

function damaged(): ContainerError {
  return new ContainerError("the backup is damaged: its parts don't add up");
}

function countLines(chunk: Buffer): number {
  let lines = 0;
  for (let at = chunk.indexOf(NEWLINE); at >= 0; at = chunk.indexOf(NEWLINE, at + 1)) lines += 1;
  return lines;
}
