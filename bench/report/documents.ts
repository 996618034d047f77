// Puts what was measured into the documents: between two marks that carry its name. Touches nothing else of them.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** Replaces what stands between `<!-- mark -->` and `<!-- /mark -->` in a file of the checkout. Throws when it has no such marks. */
export function insertBetween(mark: string, file: string, text: string): void {
  const path = join(ROOT, file);
  const [before, , after] = readFileSync(path, "utf8").split(new RegExp(`<!-- /?${mark} -->`));
  if (before === undefined || after === undefined) throw new Error(`${file} has no ${mark} marks`);
  writeFileSync(path, `${before}<!-- ${mark} -->\n\n${text}\n\n<!-- /${mark} -->${after}`);
}
