// A file that was just put into its folder, made to stay there.
import { open } from "node:fs/promises";

/** So that the name outlives a crash, too; not every file system can. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r").catch(() => undefined);
  await folder?.sync().catch(() => undefined);
  await folder?.close();
}
