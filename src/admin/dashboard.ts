// Serves the dashboard: the built files, read once at start, under fixed names. No path from a client reaches the file system. The pages
// are public. What they show comes from the API, which authenticates its callers.
import type { FastifyInstance, FastifyReply } from "fastify";
import { readdir, readFile } from "node:fs/promises";
import { extname, join, resolve } from "node:path";
import { z } from "zod";
import { HTML_TYPE } from "./html.ts";
import { codeOf } from "../platform/unknown-values.ts";

declare module "fastify" {
  interface FastifyInstance {
    /** The page that says that there is no such page. */
    dashboardPage?: Buffer;
  }
}

const FOLDER = resolve(import.meta.dirname, "../../dist/dashboard");
const TYPES: Readonly<Record<string, string>> = {
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
};
// The name of such a file holds the hash of its content.
const FOR_EVER = "public, max-age=31536000, immutable";
const PUBLIC = { config: { permission: "public" } } as const;

interface Asset {
  readonly path: string;
  readonly type: string;
  readonly content: Buffer;
  readonly gzipped: Buffer;
}

interface Build {
  readonly page: Buffer;
  /** Every page's path, as a route. */
  readonly paths: readonly string[];
  readonly assets: readonly Asset[];
}

/** Without a build: what to say at those pages' paths that the service's own texts point to. */
const UNBUILT: Build = {
  page: Buffer.from(`<!doctype html>
<html lang="en">
  <head><meta charset="utf-8" /><title>x3sproxy</title></head>
  <body>
    <main>
      <h1>The service is running; its dashboard is not built</h1>
      <p>In the project’s folder run <code>npm run build</code>, and start the service again.</p>
      <p>Everything can be done from the command line, too: <code>npx x3sproxy --help</code>.</p>
    </main>
  </body>
</html>
`),
  paths: [
    "/",
    "/secrets",
    "/agents/:name",
    "/agents/:name/scope",
    "/setup",
    "/invitation",
    "/reset",
  ],
  assets: [],
};

/** Adds the pages and their files. `folder`: where the build is. */
export async function addDashboard(app: FastifyInstance, folder = FOLDER): Promise<void> {
  const { page, paths, assets } = (await readBuild(folder)) ?? UNBUILT;
  app.decorate("dashboardPage", page);
  for (const path of paths) {
    app.get(path, PUBLIC, (_request, reply) => reply.type(HTML_TYPE).send(page));
  }
  for (const asset of assets) {
    app.get(asset.path, PUBLIC, (request, reply) =>
      sendAsset(reply, asset, request.headers["accept-encoding"]),
    );
  }
}

function sendAsset(
  reply: FastifyReply,
  { type, content, gzipped }: Asset,
  accepted: string | undefined,
): FastifyReply {
  reply.type(type).header("cache-control", FOR_EVER).header("vary", "accept-encoding");
  // `gzip;q=0` refuses it (RFC 9110, 12.5.3).
  const takesGzip = /\bgzip\b(?!\s*;\s*q=0(?:\.0*)?(?![.\d]))/i.test(accepted ?? "");
  return takesGzip ? reply.header("content-encoding", "gzip").send(gzipped) : reply.send(content);
}

async function readBuild(folder: string): Promise<Build | undefined> {
  try {
    const pages = await readFile(join(folder, "pages.json"), "utf8");
    const names = await readdir(join(folder, "assets"));
    return {
      page: await readFile(join(folder, "index.html")),
      paths: z.array(z.string()).parse(JSON.parse(pages)),
      assets: await Promise.all(
        names.filter((name) => !name.endsWith(".gz")).map((name) => readAsset(folder, name)),
      ),
    };
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

async function readAsset(folder: string, name: string): Promise<Asset> {
  const file = join(folder, "assets", name);
  const type = TYPES[extname(name)];
  if (type === undefined)
    throw new Error(`the dashboard's build has a file of another type: ${name}`);
  return {
    path: `/assets/${name}`,
    type,
    content: await readFile(file),
    gzipped: await readFile(`${file}.gz`),
  };
}
