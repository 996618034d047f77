// Which parts of events an erasure emptied, by the list that its event has a hash of.
import { hash } from "node:crypto";

/** A part of an event: the actor with its address, or the target. */
export interface ErasedPart {
  /** The index of the event's leaf. */
  readonly index: number;
  readonly part: "actor" | "target";
}

/** The parts that an `audit.erase` event erased. */
export interface ErasureList {
  /** The hash in its detail. */
  readonly list: string;
  readonly parts: readonly ErasedPart[];
}

/** The hash of a list in an `audit.erase` event: SHA-256, lower-case hex. One line a part, by index, the actor before the target. */
function erasureListHash(parts: readonly ErasedPart[]): string {
  const lines = [...parts]
    .sort((a, b) => a.index - b.index || (a.part < b.part ? -1 : 1))
    .map(({ index, part }) => `${index} ${part}\n`);
  return hash("sha256", lines.join(""), "hex");
}

/** The empty parts that no erasure lists: somebody else has emptied them. */
export function unlistedParts(
  blank: readonly ErasedPart[],
  erasures: readonly ErasureList[],
): ErasedPart[] {
  const listed = new Set(
    erasures
      .filter(({ list, parts }) => erasureListHash(parts) === list)
      .flatMap(({ parts }) => parts.map(({ index, part }) => `${index} ${part}`)),
  );
  return blank.filter(({ index, part }) => !listed.has(`${index} ${part}`));
}
