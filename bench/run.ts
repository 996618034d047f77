// `npm run bench`: what the hop costs, against what people would use instead, on one machine and in one run.
//
//   npm run bench [-- --quick] [-- --only post-32,sse-300] [-- --peers nginx,x3sproxy] [-- --churn 30] [-- --before ../old]
import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { measureChurn } from "./churn.ts";
import { bringEquipment, describeMachine, MissingEquipment } from "./equipment.ts";
import type { Loader } from "./load.ts";
import { measureOpenStreams, measurePassedOn } from "./open-streams.ts";
import { startBare } from "./peers/bare.ts";
import { startHaproxy } from "./peers/haproxy.ts";
import { startHttpProxy3 } from "./peers/http-proxy-3.ts";
import { startNginx } from "./peers/nginx.ts";
import { ONLY_WHEN_ASKED, PEER_NAMES, type Peer, type PeerName, type Site } from "./peers/peer.ts";
import { startPortkey } from "./peers/portkey.ts";
import { startPrototype } from "./peers/prototypes.ts";
import { startOwn, type OwnPeer } from "./peers/x3sproxy.ts";
import { endAll, isEnding } from "./processes.ts";
import { insertBetween, ROOT } from "./report/documents.ts";
import { costsPlot, latencyPlot } from "./report/plots.ts";
import { asMarkdown, asText, layerTable, tablesOf } from "./report/tables.ts";
import type { Measured, Results } from "./results.ts";
import { openSite, upstreamCounts } from "./site.ts";
import { measureScopes } from "./scopes.ts";
import { measureTokens } from "./tokens.ts";
import { measureRounds, type UpstreamCounts } from "./windows.ts";
import { listWorkloads } from "./workloads.ts";

const RESULTS = fileURLToPath(new URL("results/", import.meta.url));
// What stands below the product, and beside it: a run with these peers writes the documentation's table of layers.
const LAYERS = "nginx,dispatch,x3sproxy";
const SCOPED: ReadonlySet<string> = new Set(["post-32", "prompt-8"]);
const SCOPED_ROUNDS = 7;
const QUICK_STREAMS = 2000;
const MANY_STREAMS = 9000;

const { values: options } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    only: { type: "string" },
    peers: { type: "string" },
    churn: { type: "string" },
    /** Another checkout, whose x3sproxy is measured in the same rounds. */
    before: { type: "string" },
  },
});
const chosen = options.only?.split(",");
const wants = (id: string): boolean => chosen === undefined || chosen.includes(id);
const tell = (text: string): void => void process.stderr.write(`${text}\n`);

const starters: Readonly<Record<PeerName, (site: Site) => Peer | Promise<Peer>>> = {
  bare: startBare,
  nginx: startNginx,
  haproxy: startHaproxy,
  x3sproxy: (site) => startOwn(site),
  before: (site) => startOwn(site, { name: "before", checkout: resolve(options.before ?? ROOT) }),
  "http-proxy-3": startHttpProxy3,
  portkey: startPortkey,
  dispatch: (site) => startPrototype(site, "dispatch"),
};

async function startPeers(site: Site): Promise<Map<PeerName, Peer>> {
  const asked = options.peers?.split(",");
  const names = PEER_NAMES.filter((name) =>
    name === "before"
      ? options.before !== undefined
      : (asked?.includes(name) ?? !ONLY_WHEN_ASKED.has(name)),
  );
  const peers = new Map<PeerName, Peer>();
  for (const name of names) peers.set(name, await starters[name](site));
  return peers;
}

async function bench(): Promise<Results> {
  const { quick } = options;
  const { site, loader } = await openSite();
  const peers = await startPeers(site);
  const own = (): OwnPeer | undefined => peers.get("x3sproxy") as OwnPeer | undefined;
  const startMs = await restart(peers, "x3sproxy", site);
  await warmUp(peers, loader, quick);

  const openStreams: Results["openStreams"][number][] = [];
  for (const streams of quick ? [QUICK_STREAMS] : [QUICK_STREAMS, MANY_STREAMS]) {
    if (!wants("memory")) break;
    for (const [name, peer] of peers) {
      const found = await measureOpenStreams(peer, loader, {
        streams,
        warmupMs: quick ? 1200 : 5000,
        windowMs: quick ? 300 : 3000,
      });
      if (found === undefined) continue;
      openStreams.push({ peer: name, found });
      tell(`memory ${name}: ${(found.bytesEach / 1000).toFixed(1)} kB a stream of ${streams}`);
      if (!quick) await restart(peers, name, site);
    }
  }

  const passedOn: Results["passedOn"][number][] = [];
  for (const [name, peer] of peers) {
    if (!wants("aborts")) break;
    const { upstreamPort } = site;
    const found = await measurePassedOn(peer, loader, { streams: quick ? 50 : 500, upstreamPort });
    if (found !== undefined) passedOn.push({ peer: name, found });
  }

  const measured = await measureAll(peers, site, loader, quick);
  const ours = own();
  const tokens =
    ours !== undefined && wants("tokens")
      ? await measureTokens(ours, loader, { folder: site.folder, quick })
      : undefined;
  const scopes: Results["scopes"][number][] = [];
  for (const workload of listWorkloads(quick).filter(({ id }) => SCOPED.has(id))) {
    if (ours === undefined || !wants("scopes")) break;
    const askUpstream = () => upstreamCounts(site);
    const rounds = quick ? workload.rounds : SCOPED_ROUNDS;
    scopes.push(await measureScopes(ours, { ...workload, rounds }, { loader, askUpstream, tell }));
  }
  const churn =
    ours !== undefined && options.churn !== undefined
      ? await measureChurn(ours, loader, {
          minutes: Number(options.churn),
          upstreamPort: site.upstreamPort,
          tell,
        })
      : undefined;
  return {
    at: new Date().toISOString(),
    quick,
    machine: describeMachine(),
    measured,
    openStreams,
    passedOn,
    tokens,
    scopes,
    startMs,
    churn,
  };
}

/** Compilers within the peers get to see the common work before anything is measured. */
async function warmUp(
  peers: ReadonlyMap<PeerName, Peer>,
  loader: Loader,
  quick: boolean,
): Promise<void> {
  for (const peer of peers.values()) {
    const door = peer.door("plain");
    if (door === undefined || peer.name === "bare") continue;
    await loader.run(door, {
      kind: "closed",
      question: { kind: "small" },
      settings: { connections: 32, warmup: 0, ms: quick ? 1000 : 4000 },
    });
    await loader.run(door, {
      kind: "streams",
      question: { kind: "stream", periodMs: 20, events: 40 },
      settings: { connections: 200, warmup: 200, ms: 600, events: 40 },
    });
  }
}

async function measureAll(
  peers: ReadonlyMap<PeerName, Peer>,
  site: Site,
  loader: Loader,
  quick: boolean,
): Promise<Measured[]> {
  const askUpstream = (): Promise<UpstreamCounts> => upstreamCounts(site);
  await askUpstream(); // forgets what came before
  const measured: Measured[] = [];
  for (const workload of listWorkloads(quick).filter(({ id }) => wants(id))) {
    const able = [...peers.values()].filter(
      (peer) => peer.webSockets || workload.kind !== "frames",
    );
    const rounds = await measureRounds(workload, able, {
      loader,
      askUpstream,
      tell: (peer, round, { rate, cpuUs, p50 }) =>
        tell(
          `${workload.id} ${round + 1}/${workload.rounds} ${peer}: ${rate.toFixed(0)}/s, ` +
            `${cpuUs.toFixed(1)} µs CPU, p50 ${p50?.toFixed(0) ?? "?"} µs`,
        ),
    });
    measured.push({ workload, rounds });
  }
  return measured;
}

/** Ends a peer and starts it again: with fresh memory, and ours with the database that it has. Gives ours' time to start. */
async function restart(
  peers: Map<PeerName, Peer>,
  name: PeerName,
  site: Site,
): Promise<number | undefined> {
  const peer = peers.get(name);
  if (peer === undefined) return undefined;
  await peer.end();
  await sleep(200);
  const again = await starters[name](site);
  peers.set(name, again);
  return name === "x3sproxy" ? (again as OwnPeer).startMs : undefined;
}

function write(results: Results): void {
  mkdirSync(RESULTS, { recursive: true });
  writeFileSync(join(RESULTS, "latest.json"), JSON.stringify(results, undefined, 1));
  const tables = tablesOf(results);
  process.stdout.write(`\n${tables.map(asText).join("\n\n")}\n`);
  if (!results.quick && options.peers === LAYERS) {
    insertBetween("layers", "docs/performance.md", asMarkdown(layerTable(results)));
  }
  // A part, or a short run, is no new table.
  if (results.quick || chosen !== undefined || options.peers !== undefined) return;
  if (options.before !== undefined) return;
  const { machine, at } = results;
  const head =
    `Run of ${at.slice(0, 10)} on ${machine["cores"] ?? "?"} cores of ${machine["processor"] ?? "?"}, Linux ${machine["kernel"] ?? "?"}, ` +
    `Node ${machine["node"] ?? "?"}, ${machine["nginx"] ?? "?"}, ${machine["haproxy"] ?? "?"}. Median of the windows, least and most in brackets.`;
  insertBetween("bench", "docs/performance.md", [head, ...tables.map(asMarkdown)].join("\n\n"));
  const plots = join(ROOT, "docs/performance");
  mkdirSync(plots, { recursive: true });
  writeFileSync(join(plots, "costs.svg"), costsPlot(results));
  writeFileSync(join(plots, "latency.svg"), latencyPlot(results));
}

try {
  bringEquipment();
  write(await bench());
} catch (error) {
  if (!isEnding())
    tell(error instanceof MissingEquipment ? error.message : String((error as Error).stack));
  process.exitCode = 1;
} finally {
  await endAll();
}
