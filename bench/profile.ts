// `node bench/profile.ts post-32 [seconds]`: where the CPU of one workload goes in the product as shipped. Prints the self time
// of each layer and function, and writes the profile and a flame graph.
import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { bringEquipment } from "./equipment.ts";
import { startOwn } from "./peers/x3sproxy.ts";
import { endAll } from "./processes.ts";
import { flamePlot } from "./report/flame.ts";
import { insertBetween, ROOT } from "./report/documents.ts";
import { asMarkdown, asText } from "./report/tables.ts";
import { openSite } from "./site.ts";
import { listWorkloads } from "./workloads.ts";

const RESULTS = fileURLToPath(new URL("results/", import.meta.url));
const SAMPLE_US = 200;
const TOP = 45;

interface Node {
  readonly id: number;
  readonly callFrame: {
    readonly functionName: string;
    readonly url: string;
    readonly lineNumber: number;
  };
  readonly children?: readonly number[];
}
export interface Profile {
  readonly nodes: readonly Node[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

/** The steps of a request, by the frames that they begin with. The innermost frame of a stack that matches names its step. */
const STEPS: readonly (readonly [RegExp, string])[] = [
  [/^\(idle\)/, "idle"],
  [/^\(garbage/, "garbage collector"],
  [/^\(program\)/, "event loop and system calls outside of JavaScript"],
  [/src\/log/, "log line"],
  [/prom-client\//, "metrics"],
  [/src\/proxy\/exchange/, "record of the exchange"],
  [/src\/proxy\/(route|path)/, "route, canonical path"],
  [/(src\/proxy\/credential-slots)/, "find and strip the credential slots"],
  [/src\/(access|ids)|lru-cache\//, "resolve and decide"],
  [/src\/vault|libsodium/, "inject"],
  [/^rewriteRequest /, "rewrite the request's headers"],
  [/^(responseSection|relayHead) /, "rewrite the response's headers"],
  [/src\/proxy\/(?:call|authorisation)/, "authorise: authorisation.ts, call.ts"],
  [/src\/proxy\/request-body/, "gather the body"],
  [/src\/proxy\/deadlines/, "deadlines"],
  [/src\/proxy\/answer/, "write the answer to the client's socket"],
  [/^(writeH1|writeBuffer|write|resumeH1|resume|_resume) undici/, "undici: write the request"],
  [/^(readMore|execute|onHttpSocketReadable) undici/, "undici: read and parse the response"],
  [/undici\//, "undici: dispatch"],
  [/node:_http_outgoing/, "node:http: the response object"],
  [/node:_http_(incoming|common)|^parserOn/, "node:http: read and parse the request"],
  [/node:_http_server/, "node:http: server"],
  [/src\/proxy\/relay/, "relay: relay.ts"],
  [/src\/proxy\/(?:server|request-handler|connections)/, "the way: request-handler.ts"],
  [/src\//, "the rest of src/"],
  [/node:(net|internal\/stream_base_commons|internal\/streams)/, "node: sockets and streams"],
];
const OTHER = "node: ticks, timers, callbacks";

async function record(id: string, seconds: number): Promise<Profile> {
  const workload = listWorkloads(false).find((each) => each.id === id);
  if (workload === undefined) throw new Error(`there is no workload ${id}`);
  bringEquipment();
  const { site, loader } = await openSite();
  const folder = join(site.folder, "profile");
  mkdirSync(folder);
  const startedAt = performance.now();
  const peer = await startOwn(site, {
    nodeArguments: ["--cpu-prof", `--cpu-prof-dir=${folder}`, `--cpu-prof-interval=${SAMPLE_US}`],
  });
  const door = peer.door(workload.route);
  if (door === undefined) throw new Error("x3sproxy has a door");
  const events = Math.ceil((4000 + seconds * 1000) / 20);
  const question =
    workload.kind === "streams"
      ? { kind: "stream" as const, periodMs: 20, events }
      : workload.question;
  const sinceStartUs = (): number => (performance.now() - startedAt) * 1000;
  let beginUs = 0;
  let endUs = 0;
  const result = await loader.run(
    door,
    {
      kind: workload.kind,
      question,
      settings: { connections: workload.connections, warmup: 4000, ms: seconds * 1000, events },
    },
    { begin: () => (beginUs = sinceStartUs()), end: () => (endUs = sinceStartUs()) },
  );
  console.log(
    `${id}: ${((result.count / result.ms) * 1000).toFixed(0)} a second, with the profiler on`,
  );
  await peer.end();
  const [file] = readdirSync(folder);
  if (file === undefined) throw new Error("Node wrote no profile");
  mkdirSync(RESULTS, { recursive: true });
  const kept = join(RESULTS, `${id}.cpuprofile`);
  renameSync(join(folder, file), kept);
  return within(JSON.parse(readFileSync(kept, "utf8")) as Profile, beginUs, endUs);
}

/** The samples of the measured window alone: start-up would drown the rest. */
function within(profile: Profile, beginUs: number, endUs: number): Profile {
  let us = 0;
  const kept = profile.timeDeltas.map((delta) => {
    us += delta;
    return us >= beginUs && us < endUs;
  });
  const only = (values: readonly number[]): number[] => values.filter((_, i) => kept[i]);
  return { ...profile, samples: only(profile.samples), timeDeltas: only(profile.timeDeltas) };
}

function frameName({ callFrame: { functionName, url, lineNumber } }: Node): string {
  const place = url.replace(/^.*\/(?=(?:src|node_modules)\/)/, "").replace("node_modules/", "");
  return `${functionName || "(anonymous)"} ${place}${place === "" ? "" : `:${lineNumber + 1}`}`.trim();
}

/** Names each node of the profile by its step: its own frame's, or else that of the nearest caller that has one. */
function stepsOf(profile: Profile): Map<number, string> {
  const byId = new Map(profile.nodes.map((node) => [node.id, node]));
  const steps = new Map<number, string>();
  const visit = (node: Node, inherited: string): void => {
    const name = frameName(node);
    const own = STEPS.find(([pattern]) => pattern.test(name))?.[1];
    // The streams below a step belong to it.
    const step =
      own === undefined || (own.startsWith("node: sockets") && inherited !== OTHER)
        ? inherited
        : own;
    steps.set(node.id, step);
    for (const child of node.children ?? []) {
      const next = byId.get(child);
      if (next !== undefined) visit(next, step);
    }
  };
  const [root] = profile.nodes;
  if (root !== undefined) visit(root, OTHER);
  return steps;
}

function sum(profile: Profile, nameOf: (node: Node) => string): [string, number][] {
  const byId = new Map(profile.nodes.map((node) => [node.id, node]));
  const totals = new Map<string, number>();
  profile.samples.forEach((id, i) => {
    const node = byId.get(id);
    if (node === undefined) return;
    const name = nameOf(node);
    totals.set(name, (totals.get(name) ?? 0) + (profile.timeDeltas[i] ?? 0));
  });
  return [...totals].sort((a, b) => b[1] - a[1]);
}

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { docs: { type: "boolean", default: false } },
});
const [id = "post-32", seconds = "8"] = positionals;
try {
  const profile = await record(id, Number(seconds));
  const steps = stepsOf(profile);
  const layers = sum(profile, (node) => steps.get(node.id) ?? OTHER);
  const busy = layers.filter(([name]) => name !== "idle").reduce((all, [, us]) => all + us, 0);
  const rows = (list: readonly (readonly [string, number])[]): string[][] =>
    list
      .filter(([name]) => !name.startsWith("idle") && !name.startsWith("(idle)"))
      .map(([name, us]) => [name, `${((us / busy) * 100).toFixed(1)} %`]);
  const columns = ["", "share of busy time"];
  const costs = { title: "What each step costs", columns, rows: rows(layers) };
  console.log(asText(costs));
  console.log(
    asText({
      title: "Self time by function",
      columns,
      rows: rows(sum(profile, frameName)).slice(0, TOP),
    }),
  );
  const flames = flamePlot(profile, `${id}: CPU of the data plane`);
  writeFileSync(join(RESULTS, `${id}-flame.svg`), flames);
  if (options.docs) {
    writeFileSync(join(ROOT, "docs/performance/flame.svg"), flames);
    insertBetween("steps", "docs/performance.md", asMarkdown(costs));
  }
} finally {
  await endAll();
}
