// What Postgres makes of the statements that the service really sends, under the service's own login: a relay on the way to the database
// reads the plans that auto_explain tells its client of, those of statements inside functions too.
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import type { Sql } from "../../src/db/index.ts";
import { withOwner } from "../../src/db/connection.ts";
import type { TestDatabase } from "./database.ts";

/** A step of a plan that reads rows of a table. */
export interface Scan {
  readonly kind: string;
  readonly table: string;
  readonly index: string | undefined;
  /** Over all loops, those that a condition left out included. */
  readonly rowsRead: number;
}

export interface Plan {
  readonly statement: string;
  readonly scans: readonly Scan[];
}

export interface PlanWatch {
  /** The same database, its control login's way through the relay. */
  readonly database: TestDatabase;
  /** Plans since the last call. */
  take(): Plan[];
  close(): Promise<void>;
}

interface Node {
  readonly "Node Type": string;
  readonly "Relation Name"?: string;
  readonly "Index Name"?: string;
  readonly "Actual Rows": number;
  readonly "Actual Loops": number;
  readonly "Rows Removed by Filter"?: number;
  readonly "Rows Removed by Index Recheck"?: number;
  readonly Plans?: readonly Node[];
}

const HEAD_BYTES = 5;
const NOTICE = "N".charCodeAt(0);

/** Only connections that are made from now on tell of their plans. */
export async function watchPlans(database: TestDatabase): Promise<PlanWatch> {
  const settings = {
    session_preload_libraries: "auto_explain",
    "auto_explain.log_min_duration": "0",
    "auto_explain.log_nested_statements": "on",
    "auto_explain.log_analyze": "on",
    "auto_explain.log_timing": "off",
    "auto_explain.log_format": "json",
    "auto_explain.log_level": "notice",
  };
  await withOwner(database.ownerUrl, async (sql: Sql) => {
    const name = new URL(database.ownerUrl).pathname.slice(1);
    for (const [setting, value] of Object.entries(settings)) {
      await sql.unsafe(`alter database "${name}" set ${setting} = '${value}'`);
    }
  });
  let plans: Plan[] = [];
  const sockets = new Set<Socket>();
  const target = new URL(database.controlUrl);
  const server = createServer((client) => {
    const upstream = connect(Number(target.port), target.hostname);
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from);
      from.on("data", (chunk) => to.write(chunk));
      from.on("error", () => undefined);
      from.on("close", () => {
        sockets.delete(from);
        to.destroy();
      });
    }
    upstream.on(
      "data",
      readNotices((text) => plans.push(...planIn(text))),
    );
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const controlUrl = Object.assign(new URL(database.controlUrl), {
    hostname: "127.0.0.1",
    port: String(port),
    search: "?sslmode=disable", // the answer to a wish for TLS would not be a message
  }).href;
  return {
    database: { ...database, controlUrl },
    take() {
      const taken = plans;
      plans = [];
      return taken;
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

/** Takes a server's bytes without TLS, and gives the message of each notice (PostgreSQL manual, 54.7, NoticeResponse). */
function readNotices(onNotice: (text: string) => void): (chunk: Buffer) => void {
  let rest = Buffer.alloc(0);
  return (chunk) => {
    rest = Buffer.concat([rest, chunk]);
    for (;;) {
      if (rest.length < HEAD_BYTES) return;
      const end = 1 + rest.readInt32BE(1);
      if (rest.length < end) return;
      if (rest[0] === NOTICE) {
        const fields = rest.subarray(HEAD_BYTES, end).toString("utf8").split("\0");
        onNotice(fields.find((field) => field.startsWith("M"))?.slice(1) ?? "");
      }
      rest = rest.subarray(end);
    }
  };
}

function planIn(text: string): Plan[] {
  const start = text.indexOf("plan:\n");
  if (start < 0) return [];
  const told = JSON.parse(text.slice(start + "plan:\n".length)) as {
    "Query Text": string;
    Plan: Node;
  };
  return [{ statement: told["Query Text"].replaceAll(/\s+/g, " "), scans: scansIn(told.Plan) }];
}

function scansIn(node: Node): Scan[] {
  const below = (node.Plans ?? []).flatMap(scansIn);
  const table = node["Relation Name"];
  if (table === undefined || !node["Node Type"].includes("Scan")) return below;
  const rows =
    node["Actual Rows"] +
    (node["Rows Removed by Filter"] ?? 0) +
    (node["Rows Removed by Index Recheck"] ?? 0);
  const rowsRead = Math.round(rows * node["Actual Loops"]);
  return [{ kind: node["Node Type"], table, index: node["Index Name"], rowsRead }, ...below];
}
