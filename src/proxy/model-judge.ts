// What the readers of bodies share: the places of models, and how a model's name is judged. Never keeps a name.
import type { RefusalReason } from "../platform/errors.ts";
import type { Member } from "../providers/index.ts";

/** Reads a body on its way up, in pieces of any size. Each piece is read before it goes on. */
export interface BodyReader {
  /** Reads a piece; a reason: the call is refused. */
  take(piece: Buffer): RefusalReason | undefined;
  /** The body has ended; undefined: its model is allowed. */
  end(): RefusalReason | undefined;
}

export interface Sought {
  /** Where a body names models, and what makes them unclear. */
  readonly body: Member;
  /** Whether a body that doesn't name its model is unclear. */
  readonly isRequired: boolean;
  /** Types of tools that make the model unclear. */
  readonly modelTools: RegExp | undefined;
  /** Why a model may not be used, or undefined. */
  readonly judge: (model: string) => RefusalReason | undefined;
}

/** Longest name of a model, in bytes. */
export const LONGEST_MODEL = 256;

const PLAIN = /^[\x21-\x7e]+$/;

/** Judges by a scope's list. Compares plain names only: a server may trim, decode or fold any other. */
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
