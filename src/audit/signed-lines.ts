// Checks the signed parts of an export: the key that its first line names, the head of the tree, and the note about all lines at the end.
// Must accept a note only if its signature and its log's name are right.
import type { HeaderLine } from "./export-lines.ts";
import type { Finding } from "./verify-report.ts";
import type { GrowingTree } from "./merkle.ts";
import {
  NoteError,
  openCheckpoint,
  originOfExports,
  originOfLog,
  renameVerifier,
  type Checkpoint,
} from "./note.ts";

// Origin, size, root, an empty line, the signature, and the empty text after the last line feed.
const NOTE_LINES = 6;

/** Finds what is wrong with the first line. `key`: the key that verifies the export. */
export function* checkHeader(header: HeaderLine, key: string): Generator<Finding> {
  const origin = originOfLog(header.workspace);
  if (header.origin !== origin) {
    yield { line: 1, what: "the export's origin isn't that of its workspace" };
  }
  if (header.verifierKey !== key) {
    const what = "the export names another key than the one that was given: it is of another log";
    yield { line: 1, what, expected: key, actual: header.verifierKey };
  }
  try {
    if (renameVerifier(header.verifierKey, origin) !== header.verifierKey) {
      yield { line: 1, what: "the export's key has another name than its log" };
    }
  } catch {
    yield { line: 1, what: "the export's key is malformed" };
  }
}

/** The head of a workspace's log in a note, after verifying it. Throws NoteError. */
export function openHead(note: string, key: string, workspace: string): Checkpoint {
  return openOf(note, key, originOfLog(workspace));
}

/** Whether a note with a valid signature has lines that the service doesn't write, such as the signatures of others. */
export function saysMore(note: string): boolean {
  return note.split("\n").length !== NOTE_LINES;
}

/** Compares the leaves with the signed head; undefined: they agree. */
export function checkHead({ size, root }: Checkpoint, tree: GrowingTree): Finding | undefined {
  if (size !== tree.size) {
    const what =
      size < tree.size
        ? `the checkpoint is of ${size} leaves, and there are ${tree.size}: a later checkpoint was taken away, or leaves were added`
        : `the checkpoint is of ${size} leaves, and there are only ${tree.size}`;
    return { what };
  }
  const actual = tree.root();
  if (root.equals(actual)) return undefined;
  return {
    what: "the leaves don't make up the tree that was signed: some were edited, added, taken away or moved",
    expected: root.toString("base64"),
    actual: actual.toString("base64"),
  };
}

/** Finds what is wrong with the note in the last line. `lines`: the number of lines before it; `hash`: their SHA-256. */
export function* checkClosing(
  note: string,
  key: string,
  workspace: string,
  { lines, hash }: { readonly lines: number; readonly hash: Buffer },
): Generator<Finding> {
  const name = originOfExports(workspace);
  let keyOfExports: string;
  try {
    keyOfExports = renameVerifier(key, name);
  } catch {
    yield { what: "the key is malformed" };
    return;
  }
  let closing: Checkpoint;
  try {
    closing = openOf(note, keyOfExports, name);
  } catch (error) {
    yield { what: reasonOf(error) };
    return;
  }
  if (saysMore(note)) {
    yield { what: "the last line's note says more than it has to" };
  }
  if (closing.size !== lines || !closing.root.equals(hash)) {
    yield {
      what: "the file isn't the one that the service made: it was edited",
      expected: closing.root.toString("base64"),
      actual: hash.toString("base64"),
    };
  }
}

/** Says why a note can't be opened. */
export function reasonOf(error: unknown): string {
  return error instanceof NoteError ? error.message : "it can't be read";
}

function openOf(note: string, key: string, origin: string): Checkpoint {
  const checkpoint = openCheckpoint(note, key);
  if (checkpoint.origin === origin) return checkpoint;
  throw new NoteError("the signed note is of another log");
}
