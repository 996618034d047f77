// What tokens cost that the proxy has to ask its database for: cold ones, one that many wait for, and many that end at once.
import { writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import postgres from "postgres";
import type { Loader, LoadResult, Quantiles } from "./load.ts";
import type { OwnPeer } from "./peers/x3sproxy.ts";
import { faultsOf, type Faults } from "./windows.ts";

/** A cached grant is not used for longer. */
const GRANT_TTL_MS = 60_000;
const DEPLOYS_AT_ONCE = 8;
/** A session writes its statistics down when a statement ends, but not more often than once a second (PostgreSQL, 27.2). */
const STATISTICS_LATE_MS = 1100;

export interface TokenFigures {
  /** One request after the other, each with a token that the proxy has never seen; and the same tokens again. */
  readonly coldUs: Quantiles;
  readonly warmUs: Quantiles;
  /** One token under 256 connections, across the end of its cache entry. */
  readonly crowd: {
    readonly end: "expired" | "evicted";
    readonly requests: number;
    readonly queries: number;
    readonly waited: number;
    readonly longestUs: number | undefined;
    readonly faults: Faults;
  };
  /** Many tokens whose entries have ended at once, asked for over `connections`. */
  readonly many: {
    readonly end: "expired" | "evicted";
    readonly tokens: number;
    readonly connections: number;
    readonly ms: number;
    readonly latencyUs: Quantiles;
    readonly faults: Faults;
  };
}

export async function measureTokens(
  peer: OwnPeer,
  loader: Loader,
  o: { folder: string; quick: boolean },
): Promise<TokenFigures> {
  const { quick } = o;
  const door = peer.door("plain");
  if (door === undefined) throw new Error("x3sproxy has a door");
  const sql = await ownerOf(peer);
  try {
    await sql`alter system set track_functions = 'all'`;
    await sql`select pg_reload_conf()`;
    const few = await deployAll(peer, quick ? 100 : 500, "cold");
    const lot = await deployAll(peer, quick ? 500 : 10_000, "many");
    const ask = (tokens: readonly string[], connections: number): Promise<LoadResult> => {
      const file = join(o.folder, "tokens");
      writeFileSync(file, tokens.join("\n") + "\n", { mode: 0o600 });
      return loader.run(door, {
        kind: "closed",
        question: { kind: "small" },
        settings: { connections, warmup: 0, ms: 60_000, tokens: file },
      });
    };
    const cold = await ask(few, 1);
    const warm = await ask(few, 1);

    const connections = quick ? 32 : 64;
    await ask(lot, connections);
    if (quick) await peer.setSecret("mistral");
    else await sleep(GRANT_TTL_MS + 1000);
    const many = await ask(lot, connections);

    return {
      coldUs: cold.latencyUs,
      warmUs: warm.latencyUs,
      crowd: await measureCrowd(peer, loader, sql, quick),
      many: {
        end: quick ? "evicted" : "expired",
        tokens: lot.length,
        connections,
        ms: many.ms,
        latencyUs: many.latencyUs,
        faults: faultsOf(many),
      },
    };
  } finally {
    await sql.end();
  }
}

async function measureCrowd(
  peer: OwnPeer,
  loader: Loader,
  sql: postgres.Sql,
  quick: boolean,
): Promise<TokenFigures["crowd"]> {
  const door = peer.door("plain");
  if (door === undefined) throw new Error("x3sproxy has a door");
  const queries = async (): Promise<number> => {
    await sleep(STATISTICS_LATE_MS);
    await peer.askDatabase();
    const [row] = await sql<{ calls: string }[]>`
      select calls from pg_stat_user_functions where funcname = 'resolve_token'`;
    return Number(row?.calls ?? 0);
  };
  const misses = (): Promise<number> =>
    peer.metric("x3sproxy_token_cache_lookups_total", 'result="miss"');
  // From here on the token is remembered.
  await loader.run(door, {
    kind: "closed",
    question: { kind: "small" },
    settings: { connections: 1, warmup: 0, ms: 100 },
  });
  const queriesBefore = await queries();
  const missesBefore = await misses();
  const running = loader.run(door, {
    kind: "closed",
    question: { kind: "small" },
    settings: { connections: 256, warmup: 500, ms: quick ? 1500 : GRANT_TTL_MS + 10_000 },
  });
  if (quick) {
    await sleep(1000);
    await peer.setSecret("mistral"); // a change in the workspace makes its entries leave
  }
  const result = await running;
  const waited = (await misses()) - missesBefore;
  return {
    end: quick ? "evicted" : "expired",
    requests: result.done,
    queries: (await queries()) - queriesBefore,
    waited,
    longestUs: result.latencyUs.max,
    faults: faultsOf(result),
  };
}

async function deployAll(peer: OwnPeer, count: number, prefix: string): Promise<string[]> {
  const tokens: string[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) tokens.push(await peer.deploy(`${prefix}-${next++}`));
  };
  await Promise.all(Array.from({ length: DEPLOYS_AT_ONCE }, worker));
  return tokens;
}

/** The database's owner, by the files of the data folder: the bench runs as whoever owns them. */
async function ownerOf(peer: OwnPeer): Promise<postgres.Sql> {
  const read = (name: string): Promise<string> => readFile(join(peer.dataDir, name), "utf8");
  const password = (await read("postgres-password")).trim();
  // The fourth line of postmaster.pid is the port.
  const port = Number((await read("postgres/postmaster.pid")).split("\n")[3]);
  return postgres({
    host: "127.0.0.1",
    port,
    username: "x3sproxy",
    database: "postgres",
    password,
    max: 1,
    onnotice: () => undefined,
  });
}
