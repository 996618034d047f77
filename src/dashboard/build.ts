// Builds the dashboard from this folder into dist/dashboard, as static files that the admin listener serves. Does nothing if the sources and
// packages have not changed since the last build. `npm start` runs it before the service.
import { createHash } from "node:crypto";
import { readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { gzipSync } from "node:zlib";
import { z } from "zod";
import { ROUTES, type RouteDeclaration } from "../contract/index.ts";
import type { AnswerShapes, Shape } from "./answer-shapes.ts";
import { PATHS } from "./paths.ts";

const SOURCES = import.meta.dirname;
const ROOT = resolve(SOURCES, "../..");
const CONTRACT = join(ROOT, "src/contract");
const TARGET = join(ROOT, "dist/dashboard");
const STAMP = "sources.sha256";
const COMPRESSED = /\.(?:js|css|svg)$/;

/** Builds if needed. Resolves to whether it was. Rejects if the sources don't build. */
export async function buildDashboard(): Promise<boolean> {
  const stamp = await hashSources();
  if (stamp === (await readFile(join(TARGET, STAMP), "utf8").catch(() => undefined))) return false;
  // Build in a folder of its own, so that a service that starts meanwhile reads one complete build or the other.
  const fresh = `${TARGET}.${process.pid}`;
  try {
    await bundle(fresh);
    await compress(join(fresh, "assets"));
    await writeFile(join(fresh, "pages.json"), JSON.stringify(Object.values(PATHS)));
    await writeFile(join(fresh, STAMP), stamp);
    await replace(fresh);
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
  return true;
}

async function replace(fresh: string): Promise<void> {
  await rm(TARGET, { recursive: true, force: true });
  try {
    await rename(fresh, TARGET);
  } catch (error) {
    // Another process has built the same meanwhile.
    if (!["ENOTEMPTY", "EEXIST"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
  }
}

async function bundle(target: string): Promise<void> {
  // Imported here, since most starts need no bundler.
  const { build } = await import("vite");
  await build({
    root: SOURCES,
    configFile: false,
    envFile: false,
    publicDir: false,
    logLevel: "error",
    plugins: [waitForScript],
    define: { ANSWER_SHAPES: JSON.stringify(answerShapes()) },
    build: {
      outDir: target,
      emptyOutDir: true,
      target: ["chrome123", "firefox128", "safari17.5"],
      // The policy allows no data: URL and no inline script.
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
      reportCompressedSize: false,
      chunkSizeWarningLimit: 1000,
    },
  });
}

/** The shapes of all answers, from the contract's schemas without their descriptions. */
export function answerShapes(): AnswerShapes {
  const shapes: Record<string, Shape> = {};
  for (const [route, { answer }] of Object.entries<RouteDeclaration>(ROUTES)) {
    if (answer === undefined) continue;
    const schema = z.toJSONSchema(answer, { io: "output", metadata: z.registry() });
    shapes[route] = JSON.parse(JSON.stringify(schema, onlyShape)) as Shape;
  }
  return shapes;
}

const NOT_SHAPE = new Set(["$schema", "format", "minimum", "maximum", "propertyNames"]);

function onlyShape(key: string, value: unknown): unknown {
  const isClosed = key === "additionalProperties" && value === false; // it may get more fields
  return isClosed || (NOT_SHAPE.has(key) && typeof value !== "object") ? undefined : value;
}

/** No paint before the script has set the theme: a page that was dark is not light for a moment. */
const waitForScript = {
  name: "wait-for-script",
  transformIndexHtml: {
    order: "post" as const,
    handler: (html: string) => html.replace("<script type=", '<script blocking="render" type='),
  },
};

async function compress(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (!COMPRESSED.test(name)) continue;
    const content = await readFile(join(folder, name));
    await writeFile(join(folder, `${name}.gz`), gzipSync(content, { level: 9 }));
  }
}

async function hashSources(): Promise<string> {
  const folders = [SOURCES, CONTRACT].map((folder) =>
    readdir(folder, { recursive: true, withFileTypes: true }),
  );
  const files = (await Promise.all(folders))
    .flat()
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  const hash = createHash("sha256");
  for (const file of [join(ROOT, "package-lock.json"), ...files]) {
    hash.update(`${file.slice(ROOT.length)}\0`).update(await readFile(file));
  }
  return hash.digest("hex");
}

if (import.meta.main) {
  const startMs = performance.now();
  try {
    if (await buildDashboard()) {
      const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
      process.stderr.write(`Built the dashboard in ${seconds} s.\n`);
    }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    process.stderr.write(`The dashboard could not be built: ${reason}\n`);
    process.exitCode = 1;
  }
}
