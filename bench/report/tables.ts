// The tables of a run, as text for a terminal and as Markdown for the documentation: the same rows in two dresses.
import { PEER_NAMES, type PeerName } from "../peers/peer.ts";
import {
  addedUs,
  faultsIn,
  figures,
  ratio,
  scopeRatio,
  targets,
  type Figure,
  type Measured,
  type Results,
} from "../results.ts";
import { spread, type Spread } from "../statistics.ts";
import type { Faults } from "../windows.ts";

export interface Table {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** All tables of a run, the most important first. */
export function tablesOf(results: Results): Table[] {
  return [
    targetTable(results),
    ...beforeTable(results),
    ...results.measured.map(workloadTable),
    ...memoryTable(results),
    ...passedOnTable(results),
    ...tokenTable(results),
    ...scopeTables(results),
    ...churnTable(results),
  ];
}

/** A number with three significant digits, or as a whole one from 100 on. */
export function digits(value: number): string {
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 100) return Math.round(value).toLocaleString("en");
  return value.toFixed(size >= 10 ? 1 : 2);
}

function median(value: Spread | undefined): string {
  return value === undefined ? "–" : digits(value.median);
}

function withSpread(value: Spread | undefined): string {
  if (value === undefined) return "–";
  return `${digits(value.median)} (${digits(value.min)}–${digits(value.max)})`;
}

function faultText(faults: Faults): string {
  const found = Object.entries(faults).filter(([, count]) => count !== 0);
  return found.map(([name, count]) => `${count} ${name}`).join(", ");
}

function targetTable(results: Results): Table {
  const rows = targets(results).map(({ title, unit, atLeast, aim, value }) => {
    const verdict =
      value === undefined
        ? "not measured"
        : value.median <= aim
          ? "reaches the aim"
          : value.median <= atLeast
            ? "holds"
            : "MISSED";
    const space = unit === "" ? "" : " ";
    const limit = (number: number): string => `≤ ${number}${space}${unit}`;
    const text = value === undefined || value.min === value.max ? median(value) : withSpread(value);
    return [title, `${text}${space}${unit}`, limit(atLeast), limit(aim), verdict];
  });
  return {
    title: "Targets: x3sproxy as shipped",
    columns: ["", "measured (spread)", "at least", "aim", ""],
    rows,
  };
}

/** What a change costs: each round's figures against those of the other checkout in the same round. */
function beforeTable({ measured, openStreams }: Results): Table[] {
  const compared = measured.filter(({ rounds }) => rounds.before && rounds.x3sproxy);
  if (compared.length === 0) return [];
  const against = (each: Measured, figure: Figure): string =>
    withSpread(ratio(each, figure, "x3sproxy", "before"));
  const bytesOf = (peer: PeerName): number[] =>
    openStreams.filter((each) => each.peer === peer).map(({ found }) => found.bytesEach);
  const [own, before] = [bytesOf("x3sproxy"), bytesOf("before")];
  const memory = own.map((bytes, n) => [
    "memory a stream",
    withSpread(spread([bytes / (before[n] ?? NaN)])),
    "–",
    "–",
  ]);
  return [
    {
      title: "x3sproxy, × the other checkout's",
      columns: ["", "CPU", "p50", "p99"],
      rows: [
        ...compared.map((each) => [
          each.workload.title,
          against(each, "cpuUs"),
          against(each, "p50"),
          against(each, "p99"),
        ]),
        ...memory,
      ],
    },
  ];
}

function workloadTable(measured: Measured): Table {
  const { workload, rounds } = measured;
  const present = PEER_NAMES.filter((peer) => rounds[peer] !== undefined);
  const of = (peer: PeerName, figure: Figure): Spread | undefined =>
    spread(figures(measured, peer, figure));
  const share = (value: Spread | undefined): string =>
    value === undefined ? "–" : `${Math.round(value.median * 100)} %`;
  const rows = present.map((peer) => [
    peer,
    median(of(peer, "rate")),
    peer === "bare" ? "–" : withSpread(of(peer, "cpuUs")),
    peer === "bare" || rounds.nginx === undefined
      ? "–"
      : withSpread(ratio(measured, "cpuUs", peer, "nginx")),
    withSpread(of(peer, "p50")),
    peer === "bare" || rounds.bare === undefined
      ? "–"
      : median(spread(addedUs(measured, peer, "p50"))),
    median(of(peer, "p99")),
    peer === "bare" ? "–" : share(of(peer, "proxyCoreBusy")),
    share(of(peer, "loadCoreBusy")),
    faultText(faultsIn(rounds[peer] ?? [])),
  ]);
  return {
    title: workload.title,
    columns: [
      "",
      `${workload.unit}s/s`,
      `CPU a ${workload.unit}, µs`,
      "× nginx",
      "p50, µs",
      "added p50",
      "p99, µs",
      "proxy core",
      "load core",
      "faults",
    ],
    rows,
  };
}

/** CPU of each peer in each workload, in one table: what the layers below us cost. */
export function layerTable({ measured }: Results): Table {
  const present = PEER_NAMES.filter((peer) => measured.some(({ rounds }) => rounds[peer]));
  const cell = (each: Measured, peer: PeerName): string => {
    const cpu = median(spread(figures(each, peer, "cpuUs")));
    return `${cpu} µs, ${median(ratio(each, "cpuUs", peer, "nginx"))} ×`;
  };
  return {
    title: "CPU, and that against nginx",
    columns: ["", ...measured.map(({ workload }) => workload.title)],
    rows: present.map((peer) => [peer, ...measured.map((each) => cell(each, peer))]),
  };
}

function scopeTables({ scopes }: Results): Table[] {
  return scopes.map((cost) => ({
    title: `A token that is held to something: ${cost.workload.title}`,
    columns: ["held to", "CPU a request, µs", "× held to nothing", "p50, µs", "faults"],
    rows: cost.windows.map(([heldTo, windows], n) => [
      heldTo,
      withSpread(spread(windows.map(({ cpuUs }) => cpuUs))),
      n === 0 ? "–" : withSpread(scopeRatio(cost, n)),
      median(spread(windows.map(({ p50 }) => p50))),
      faultText(faultsIn(windows)),
    ]),
  }));
}

function memoryTable({ openStreams }: Results): Table[] {
  if (openStreams.length === 0) return [];
  const rows = openStreams.map(({ peer, found }) => [
    peer,
    digits(found.streams),
    digits(found.bytesEach / 1000),
    digits(found.beforeBytes / 1e6),
    digits(found.openBytes / 1e6),
    faultText(found.faults),
  ]);
  return [
    {
      title: "(d) Memory of open, slow streams (one event a second each)",
      columns: ["", "streams", "kB a stream", "MB before", "MB with them", "faults"],
      rows,
    },
  ];
}

function passedOnTable({ passedOn }: Results): Table[] {
  if (passedOn.length === 0) return [];
  const number = (value: number | undefined): string => (value === undefined ? "–" : digits(value));
  const rows = passedOn.map(({ peer, found }) => [
    peer,
    number(found.headersUs.p50),
    number(found.headersUs.p99),
    number(found.abortUs.p50),
    number(found.abortUs.p99),
    found.neverHeard === 0 ? "" : String(found.neverHeard),
  ]);
  return [
    {
      title: "Response headers and a client's abort passed on, from end to end, µs",
      columns: ["", "headers p50", "headers p99", "abort p50", "abort p99", "aborts not passed on"],
      rows,
    },
  ];
}

function tokenTable({ tokens, startMs }: Results): Table[] {
  if (tokens === undefined) return [];
  const { coldUs, warmUs, crowd, many } = tokens;
  const number = (value: number | undefined): string => (value === undefined ? "–" : digits(value));
  return [
    {
      title: "(f) x3sproxy: tokens that it has to ask its database for",
      columns: ["", ""],
      rows: [
        ["cold token, p50 / p99, µs", `${number(coldUs.p50)} / ${number(coldUs.p99)}`],
        ["the same tokens again, p50 / p99, µs", `${number(warmUs.p50)} / ${number(warmUs.p99)}`],
        [
          `one token under 256 connections, ${crowd.end}: queries, calls that waited, longest wait`,
          `${crowd.queries}, ${crowd.waited} of ${digits(crowd.requests)}, ${number(crowd.longestUs)} µs${after(crowd.faults)}`,
        ],
        [
          `${digits(many.tokens)} tokens, all ${many.end}, over ${many.connections} connections: together, p50 / p99`,
          `${digits(many.ms)} ms, ${number(many.latencyUs.p50)} / ${number(many.latencyUs.p99)} µs${after(many.faults)}`,
        ],
        ["start with an existing database", startMs === undefined ? "–" : `${digits(startMs)} ms`],
      ],
    },
  ];
}

function after(faults: Faults): string {
  const text = faultText(faults);
  return text === "" ? "" : `; ${text}`;
}

function churnTable({ churn }: Results): Table[] {
  if (churn === undefined) return [];
  const megabytes = (bytes: number): string => digits(bytes / 1e6);
  const highest = Math.max(...churn.samples.map(({ bytes }) => bytes));
  return [
    {
      title: `(h) ${digits(churn.minutes)} minutes of churn and aborts: ${digits(churn.requests)} calls`,
      columns: ["", "before", "highest", "a minute after"],
      rows: [
        [
          "memory, MB",
          megabytes(churn.before.bytes),
          megabytes(highest),
          megabytes(churn.after.bytes),
        ],
        [
          "open files",
          String(churn.before.files),
          String(Math.max(...churn.samples.map(({ files }) => files))),
          String(churn.after.files),
        ],
        ["open exchanges", "0", "–", String(churn.openExchangesAfter)],
      ],
    },
  ];
}

/** For a terminal: columns aligned by spaces. */
export function asText({ title, columns, rows }: Table): string {
  const all = [columns, ...rows];
  const widths = columns.map((_, i) => Math.max(...all.map((row) => (row[i] ?? "").length)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
      .join("  ")
      .trimEnd();
  return [title, ...all.map((row) => `  ${line(row)}`)].join("\n");
}

/** For the documentation. */
export function asMarkdown({ title, columns, rows }: Table): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  const rule = columns.map((_, i) => (i === 0 ? "---" : "--:"));
  return [`### ${title}`, "", line(columns), line(rule), ...rows.map(line)].join("\n");
}
