// The audit's export over REST: streamed as fast as the client reads. If it can't be complete, the answer breaks off.
import type { FastifyInstance } from "fastify";
import { Readable } from "node:stream";
import type { AuditProofs } from "../audit/index.ts";
import type { AuditRoutes } from "../contract/index.ts";
import { RequestError } from "../platform/errors.ts";
import { refuseUnknownAction } from "./audit.ts";
import { actorOf } from "./funnel.ts";
import type { HandlersOf } from "./route.ts";

const TYPES = {
  jsonl: "application/jsonl; charset=utf-8",
  csv: "text/csv; charset=utf-8; header=present",
} as const;
// A slow reader keeps a place for long, so each workspace has places of its own.
const MAX_OF_WORKSPACE = 4;
const MAX_OPEN = 16;
const STALLED_MS = 300_000;

/** When `app` closes, open exports are broken off. */
export function auditExportHandlers(
  app: FastifyInstance,
  { auditProofs }: { auditProofs: AuditProofs },
): Pick<HandlersOf<AuditRoutes>, "GET /audit/export"> {
  const open = new Set<Readable>();
  // One entry, its workspace, for each export that is open or about to be.
  const places: string[] = [];
  const leave = (workspaceId: string): void => {
    places.splice(places.indexOf(workspaceId), 1);
  };
  const begin = async (...of: Parameters<AuditProofs["export"]>) => {
    const { at, bytes } = await auditProofs.export(...of);
    return { at, bytes: await begun(bytes) };
  };
  app.addHook("preClose", () => {
    for (const stream of open) stream.destroy();
  });

  return {
    "GET /audit/export": async ({ query, request, reply }) => {
      const actor = actorOf(request);
      const { workspaceId } = actor;
      refuseUnknownAction(query.action);
      const own = places.filter((each) => each === workspaceId).length;
      if (own >= MAX_OF_WORKSPACE || places.length >= MAX_OPEN) {
        throw new RequestError(
          503,
          "busy",
          "Other exports are under way. Try again when they have ended.",
        );
      }
      const { format, ...filter } = query;
      places.push(workspaceId);
      const { at, bytes } = await begin(actor, format, filter).catch((error: unknown) => {
        leave(workspaceId);
        throw error;
      });
      const stream = Readable.from(bytes, { objectMode: false });
      open.add(stream);
      stream.once("close", () => {
        open.delete(stream);
        leave(workspaceId);
      });
      reply.raw.setTimeout(STALLED_MS, () => reply.raw.destroy());
      const name = `x3sproxy-audit-${at.toISOString().replace(/[-:]|\.\d+/g, "")}.${format}`;
      reply.type(TYPES[format]).header("content-disposition", `attachment; filename="${name}"`);
      return reply.send(stream);
    },
  };
}

// The heading, the checkpoint (with filters), and the first piece that is read from the database.
const FIRST_PIECES = 3;

/** Waits for the first pieces, then gives the same bytes. An early failure is so answered as a problem, not as a 200 that breaks off. */
async function begun(bytes: AsyncIterable<Buffer>): Promise<AsyncIterable<Buffer>> {
  const pieces = bytes[Symbol.asyncIterator]();
  const first: Buffer[] = [];
  for (let i = 0; i < FIRST_PIECES; i += 1) {
    const next = await pieces.next();
    if (next.done === true) break;
    first.push(next.value);
  }
  return (async function* () {
    try {
      yield* first;
      yield* { [Symbol.asyncIterator]: () => pieces };
    } finally {
      await pieces.return?.();
    }
  })();
}
