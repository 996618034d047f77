// The few static pages: plain files, read once, served under fixed names. No path from a client reaches the file system.
import type { FastifyInstance } from "fastify";
import { readFile } from "node:fs/promises";
import { join } from "node:path";

const FOLDER = join(import.meta.dirname, "pages");
const HTML = "text/html; charset=utf-8";
const SCRIPT = "text/javascript; charset=utf-8";

const PAGES: readonly (readonly [path: string, file: string, type: string])[] = [
  ["/", "home.html", HTML],
  ["/secrets", "secrets.html", HTML],
  ["/setup", "setup.html", HTML],
  ["/pages/style.css", "style.css", "text/css; charset=utf-8"],
  ["/pages/secrets.js", "secrets.js", SCRIPT],
  ["/pages/setup.js", "setup.js", SCRIPT],
];

export async function addPages(app: FastifyInstance): Promise<void> {
  for (const [path, file, type] of PAGES) {
    const content = await readFile(join(FOLDER, file));
    app.get(path, { config: { permission: "public" } }, (_request, reply) =>
      reply.type(type).send(content),
    );
  }
}
