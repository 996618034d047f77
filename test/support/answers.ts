// Reading HTTP/1.1 answers from bytes, strictly (RFC 9112, 6 and 7): what a careful client would make of them.

export interface Answer {
  readonly line: string;
  readonly status: number;
  /** As they came, in their order and case. */
  readonly headers: readonly (readonly [string, string])[];
  /** The value of the only field of this lower-case name; undefined when there is none. Throws when there are several. */
  header(name: string): string | undefined;
  /** What tells where the body ends. */
  readonly framing: "none" | "length" | "chunked" | "close";
  /** Latin1, chunks joined. */
  readonly body: string;
  /** The chunks as they were framed. */
  readonly chunks: readonly string[];
  readonly trailers: readonly (readonly [string, string])[];
}

/**
 * The answer at the front of `bytes` and its length in bytes, or undefined while it is not whole. `ended`: the connection has
 * ended cleanly. Interim answers count as answers. Throws on what is not valid.
 */
export function readAnswer(
  bytes: string,
  o: { method: string; ended: boolean },
): { answer: Answer; length: number } | undefined {
  const end = bytes.indexOf("\r\n\r\n");
  if (end < 0) return undefined;
  const [line = "", ...fields] = bytes.slice(0, end).split("\r\n");
  const status = Number(/^HTTP\/1\.[01] (\d{3}) /.exec(line)?.[1]);
  if (Number.isNaN(status)) throw new Error(`not a status line: ${JSON.stringify(line)}`);
  const headers = readFields(fields);
  const header = (name: string): string | undefined => {
    const values = headers.filter(([field]) => field.toLowerCase() === name);
    if (values.length > 1) throw new Error(`${name} came ${values.length} times`);
    return values[0]?.[1];
  };
  const start = end + 4;
  const whole = (
    framing: Answer["framing"],
    chunks: readonly string[],
    length: number,
    trailers: Answer["trailers"] = [],
  ) => ({
    answer: { line, status, headers, header, framing, body: chunks.join(""), chunks, trailers },
    length,
  });
  if (status < 200 || status === 204 || status === 304 || o.method === "HEAD") {
    return whole("none", [], start);
  }
  const coding = header("transfer-encoding");
  const declared = header("content-length");
  if (coding !== undefined) {
    if (declared !== undefined) throw new Error("both transfer-encoding and content-length");
    if (coding !== "chunked") throw new Error(`transfer-encoding: ${coding}`);
    const body = readChunks(bytes, start);
    return body === undefined
      ? undefined
      : whole("chunked", body.chunks, body.length, body.trailers);
  }
  if (declared !== undefined) {
    if (!/^\d+$/.test(declared)) throw new Error(`content-length: ${declared}`);
    const length = start + Number(declared);
    return bytes.length < length
      ? undefined
      : whole("length", [bytes.slice(start, length)], length);
  }
  return o.ended ? whole("close", [bytes.slice(start)], bytes.length) : undefined;
}

function readChunks(
  bytes: string,
  start: number,
): { chunks: string[]; length: number; trailers: [string, string][] } | undefined {
  const chunks: string[] = [];
  for (let at = start; ;) {
    const lineEnd = bytes.indexOf("\r\n", at);
    if (lineEnd < 0) return undefined;
    const size = bytes.slice(at, lineEnd);
    if (!/^[0-9a-f]+$/i.test(size)) throw new Error(`chunk size: ${JSON.stringify(size)}`);
    const length = Number.parseInt(size, 16);
    at = lineEnd + 2;
    if (length === 0) {
      if (bytes.startsWith("\r\n", at)) return { chunks, length: at + 2, trailers: [] };
      const end = bytes.indexOf("\r\n\r\n", at);
      if (end < 0) return undefined;
      return { chunks, length: end + 4, trailers: readFields(bytes.slice(at, end).split("\r\n")) };
    }
    if (bytes.length < at + length + 2) return undefined;
    if (!bytes.startsWith("\r\n", at + length)) throw new Error("a chunk without its end");
    chunks.push(bytes.slice(at, at + length));
    at += length + 2;
  }
}

function readFields(lines: readonly string[]): [string, string][] {
  return lines.map((line) => {
    const field = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+): ?(.*)$/.exec(line);
    if (field === null) throw new Error(`not a field: ${JSON.stringify(line)}`);
    return [field[1] ?? "", field[2] ?? ""];
  });
}
