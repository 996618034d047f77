// Whether the given master key is one that something was sealed under, told by the check value that lies beside it.
import sodium from "libsodium-wrappers";
import type { MasterKey } from "./master-key.ts";
import { opensCheckValue } from "./sealing.ts";

/** A master key by its id, and the value that opens under it and no other. */
export interface NeededKey {
  readonly id: string;
  readonly checkValue: Uint8Array;
}

/** The ids of those among `needed` that aren't at hand. */
export async function missingKeys(
  key: MasterKey,
  needed: readonly NeededKey[],
): Promise<readonly string[]> {
  await sodium.ready;
  return needed
    .filter(({ id, checkValue }) => id !== key.id || !opensCheckValue(key, checkValue))
    .map(({ id }) => id);
}
