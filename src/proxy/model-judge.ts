// What the readers of bodies share: what they look for, and how a model's name is judged once it is read. Never keeps a name.
import type { RefusalReason } from "../errors.ts";
import type { Member } from "../providers/index.ts";

/** Reads a body on its way up, in pieces of any size. What a piece is refused for, it is refused for before it goes on. */
export interface BodyReader {
  /** Why the call is refused as of this piece, or undefined. */
  take(piece: Buffer): RefusalReason | undefined;
  /** The same, once the body has ended: undefined means that its model is allowed. */
  end(): RefusalReason | undefined;
}

export interface Sought {
  /** Where a body names models, and what in it makes them unclear. */
  readonly body: Member;
  /** Whether a body without its model's own place is unclear. */
  readonly isRequired: boolean;
  /** Types of tools that make it unclear. */
  readonly modelTools: RegExp | undefined;
  /** Why a model may not be used, or undefined. */
  readonly judge: (model: string) => RefusalReason | undefined;
}

/** Longest name of a model, in bytes. */
export const LONGEST_MODEL = 256;

const PLAIN = /^[\x21-\x7e]+$/;

/** Judges by a scope's list. Only plain names are compared: another reader might trim, decode or fold any other. */
export function createJudge(
  allows: (model: string) => boolean,
  indirect: RegExp | undefined,
): (model: string) => RefusalReason | undefined {
  return (model) => {
    if (model.length > LONGEST_MODEL || !PLAIN.test(model)) return "model_unclear";
    if (indirect?.test(model) === true) return "model_unclear";
    return allows(model) ? undefined : "model_not_allowed";
  };
}
