// Reads checkpoints that were kept elsewhere: signed notes one after the other, as they are appended to a file, or lines of a log that
// end with one in JSON, as syslog gets it.
import type { GivenCheckpoint } from "./checkpoint-comparison.ts";

export interface KeptCheckpoints {
  readonly checkpoints: readonly GivenCheckpoint[];
  /** Lines that are neither empty nor of a checkpoint. */
  readonly otherLines: number;
}

const SIGNATURE = /^— /;
const IN_JSON = /\{"note":"(?:[^"\\]|\\.)*"\}$/;

/** `lines`: without their line ends. `name`: of the file, for messages. */
export async function readKeptCheckpoints(
  lines: AsyncIterable<string>,
  name: string,
): Promise<KeptCheckpoints> {
  const found = new Map<string, GivenCheckpoint>();
  let otherLines = 0;
  let number = 0;
  let note: { lines: string[]; from: number; isSigned: boolean } | undefined;
  const add = (text: string, line: number): void => {
    if (!found.has(text)) found.set(text, { where: `${name}, line ${line}`, note: text });
  };
  const close = (): void => {
    if (note !== undefined) add(`${note.lines.join("\n")}\n`, note.from);
    note = undefined;
  };
  for await (const line of lines) {
    number += 1;
    if (note?.isSigned === true && !SIGNATURE.test(line)) close();
    if (note !== undefined) {
      note.lines.push(line);
      note.isSigned ||= SIGNATURE.test(line);
      continue;
    }
    const inJson = IN_JSON.exec(line.trimEnd())?.[0];
    if (inJson !== undefined) add((JSON.parse(inJson) as { note: string }).note, number);
    else if (line.startsWith("x3sproxy/audit/"))
      note = { lines: [line], from: number, isSigned: false };
    else if (line.trim() !== "") otherLines += 1;
  }
  close();
  return { checkpoints: [...found.values()], otherLines };
}
