// Whether the given master keys are those that something was sealed under, told by the check values that lie beside it.
import sodium from "libsodium-wrappers";
import type { KeyRing } from "./key-ring.ts";
import { opensCheckValue } from "./sealing.ts";

/** A master key by its id, and the value that opens under it and no other. */
export interface NeededKey {
  readonly id: string;
  readonly checkValue: Uint8Array;
}

/** The ids of those among `needed` that aren't at hand. */
export async function missingKeys(
  ring: KeyRing,
  needed: readonly NeededKey[],
): Promise<readonly string[]> {
  await sodium.ready;
  return needed
    .filter(({ id, checkValue }) => {
      const key = ring.get(id);
      return key === undefined || !opensCheckValue(key, checkValue);
    })
    .map(({ id }) => id);
}
