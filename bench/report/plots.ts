// The plots of a run, as SVG for the documentation. Readable on a light and on a dark page; no script, no font of its own.
import { ONLY_WHEN_ASKED, PEER_NAMES, type PeerName } from "../peers/peer.ts";
import { addedUs, figures, type Figure, type Measured, type Results } from "../results.ts";
import { spread, type Spread } from "../statistics.ts";
import { digits } from "./tables.ts";

const OWN: PeerName = "x3sproxy";
const PANEL = { width: 430, barHeight: 20, gap: 7, nameWidth: 92, valueWidth: 96, head: 44 };
/** A bar that is longer than this many times ours is torn off, or ours could not be read. */
const TORN_AT = 3;

const STYLE = `<style>
  text { font: 13px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; fill: #1f2933; }
  .title { font-weight: 600; font-size: 14px; }
  .note, .tick { fill: #65737f; font-size: 11.5px; }
  .own { font-weight: 700; }
  .bar { fill: #b6c2cc; } .bar-own { fill: #0b7a75; }
  .whisker, .axis { stroke: #65737f; stroke-width: 1; }
  .grid { stroke: #dde3e8; stroke-width: 1; }
  .tear { stroke: #ffffff; stroke-width: 3; fill: none; }
  .line { fill: none; stroke-width: 2; stroke-linejoin: round; }
  .c-bare { stroke: #9aa5ae; stroke-dasharray: 4 3; } .c-nginx { stroke: #3a7d34; } .c-haproxy { stroke: #2d6cc0; }
  .c-x3sproxy { stroke: #0b7a75; stroke-width: 3.5; } .c-http-proxy-3 { stroke: #c47f17; } .c-portkey { stroke: #b0413e; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e4e9ed; } .note, .tick { fill: #9aa8b3; }
    .bar { fill: #56646f; } .bar-own { fill: #2bb3a8; } .grid { stroke: #2d3740; }
    .tear { stroke: #0d1117; } .c-x3sproxy { stroke: #2bb3a8; }
  }
</style>`;

interface Panel {
  readonly title: string;
  readonly note: string;
  readonly bars: readonly { readonly peer: PeerName; readonly value: Spread }[];
  /** Peers that can't be measured here, and why. */
  readonly instead?: Readonly<Partial<Record<PeerName, string>>>;
}

/** Six panels of bars: what the hop costs. */
export function costsPlot(results: Results): string {
  const panels = panelsOf(results).filter(({ bars }) => bars.length > 0);
  const peers = PEER_NAMES.length - ONLY_WHEN_ASKED.size - 1;
  const height = PANEL.head + peers * (PANEL.barHeight + PANEL.gap) + 26;
  const rows = Math.ceil(panels.length / 2);
  const drawn = panels.map((panel, i) => {
    const x = 10 + (i % 2) * (PANEL.width + 30);
    const y = 8 + Math.floor(i / 2) * height;
    return `<g transform="translate(${x} ${y})">${drawPanel(panel)}</g>`;
  });
  return svg(2 * PANEL.width + 50, rows * height, "What the hop costs", drawn.join("\n"));
}

function panelsOf({ measured, openStreams, passedOn }: Results): Panel[] {
  const find = (id: string): Measured | undefined =>
    measured.find(({ workload }) => workload.id === id);
  const bars = (
    of: (peer: PeerName) => readonly (number | undefined)[],
    scale = 1,
  ): Panel["bars"] =>
    PEER_NAMES.filter((peer) => peer !== "bare").flatMap((peer) => {
      const value = spread(of(peer).map((each) => each && each / scale));
      return value === undefined ? [] : [{ peer, value }];
    });
  const figure = (id: string, name: Figure) => (peer: PeerName) => {
    const found = find(id);
    return found === undefined ? [] : figures(found, peer, name);
  };
  const added = (id: string, name: "p50" | "p99") => (peer: PeerName) => {
    const found = find(id);
    return found === undefined ? [] : addedUs(found, peer, name);
  };
  const streams = Math.min(...openStreams.map(({ found }) => found.streams));
  return [
    {
      title: "CPU a request",
      note: "µs, 1 KB POST, 32 connections",
      bars: bars(figure("post-32", "cpuUs")),
    },
    {
      title: "Latency added, median",
      note: "µs, 1 KB POST, 1 connection",
      bars: bars(added("post-1", "p50")),
    },
    {
      title: "CPU a streamed chunk",
      note: "µs, 300 SSE streams of 50 events/s",
      bars: bars(figure("sse-300", "cpuUs")),
    },
    {
      title: "Delay added to a streamed chunk, 99th percentile",
      note: "ms, 300 SSE streams of 50 events/s",
      bars: bars(added("sse-300", "p99"), 1000),
    },
    {
      title: "Memory an open stream",
      note: `kB, ${digits(streams)} slow SSE streams`,
      bars: bars((peer) =>
        openStreams
          .filter(({ peer: name, found }) => name === peer && found.streams === streams)
          .map(({ found }) => found.bytesEach / 1000),
      ),
    },
    {
      title: "A client's abort passed on, median",
      note: "µs, from its close to the upstream's notice",
      bars: bars((peer) =>
        passedOn.filter(({ peer: name }) => name === peer).map(({ found }) => found.abortUs.p50),
      ),
      instead: Object.fromEntries(
        passedOn
          .filter(({ found }) => found.abortUs.p50 === undefined)
          .map(({ peer }) => [peer, "not passed on"]),
      ),
    },
  ];
}

function drawPanel({ title, note, bars, instead = {} }: Panel): string {
  const room = PANEL.width - PANEL.nameWidth - PANEL.valueWidth;
  const own = bars.find(({ peer }) => peer === OWN)?.value.median;
  const highest = Math.max(...bars.map(({ value }) => value.median));
  const end = own === undefined ? highest : Math.min(highest, own * TORN_AT);
  const scale = room / (end || 1);
  const drawn = bars.map(({ peer, value }, i) => {
    const y = PANEL.head + i * (PANEL.barHeight + PANEL.gap);
    const torn = value.median > end;
    const length = Math.max(torn ? room : value.median * scale, 1);
    const middle = y + PANEL.barHeight / 2;
    const css = peer === OWN ? "own" : "";
    const whisker =
      torn || value.max === value.min
        ? ""
        : `<path class="whisker" d="M${at(PANEL.nameWidth + Math.max(value.min, 0) * scale)} ${middle}H${at(PANEL.nameWidth + Math.min(value.max * scale, room + 8))}"/>`;
    const tear = torn
      ? `<path class="tear" d="M${at(PANEL.nameWidth + room - 22)} ${y + PANEL.barHeight + 3}l8 -${PANEL.barHeight + 6}"/>`
      : "";
    const valueAt =
      PANEL.nameWidth + Math.min(Math.max(length, torn ? 0 : value.max * scale), room + 8) + 7;
    return (
      `<text class="${css}" x="${PANEL.nameWidth - 8}" y="${middle + 4.5}" text-anchor="end">${peer}</text>` +
      `<rect class="bar${peer === OWN ? " bar-own" : ""}" x="${PANEL.nameWidth}" y="${y}" width="${at(length)}" height="${PANEL.barHeight}" rx="2"/>` +
      tear +
      whisker +
      `<text class="${css}" x="${at(valueAt)}" y="${middle + 4.5}">${digits(value.median)}</text>`
    );
  });
  return (
    `<text class="title" x="0" y="15">${title}</text><text class="note" x="0" y="32">${note}</text>` +
    drawn.join("") +
    Object.entries(instead)
      .map(([peer, text], i) => {
        const y = PANEL.head + (bars.length + i) * (PANEL.barHeight + PANEL.gap) + 14.5;
        return (
          `<text x="${PANEL.nameWidth - 8}" y="${y}" text-anchor="end">${peer}</text>` +
          `<text class="note" x="${PANEL.nameWidth}" y="${y}">${text}</text>`
        );
      })
      .join("")
  );
}

const CHART = { width: 640, height: 330, left: 74, right: 132, top: 58, bottom: 44 };
const QUANTILES: readonly { readonly name: Figure; readonly label: string }[] = [
  { name: "p50", label: "50 %" },
  { name: "p90", label: "90 %" },
  { name: "p99", label: "99 %" },
  { name: "p999", label: "99.9 %" },
];

/** How long answers take at a fixed rate of requests, whatever the answers before took. */
export function latencyPlot({ measured }: Results): string {
  const found =
    measured.find(({ workload }) => workload.rate === 2000) ??
    measured.find(({ workload }) => workload.kind === "open");
  if (found === undefined) return svg(CHART.width, 40, "Nothing measured", "");
  const lines = PEER_NAMES.flatMap((peer) => {
    const points = QUANTILES.map(({ name }) => spread(figures(found, peer, name))?.median);
    return points.every((point) => point !== undefined) ? [{ peer, points }] : [];
  });
  const all = lines.flatMap(({ points }) => points);
  const low = Math.floor(Math.log10(Math.min(...all)));
  const high = Math.ceil(Math.log10(Math.max(...all)));
  const { width, height, left, right, top, bottom } = CHART;
  const x = (i: number): number => left + (i / (QUANTILES.length - 1)) * (width - left - right);
  const y = (us: number): number =>
    height - bottom - ((Math.log10(us) - low) / (high - low || 1)) * (height - top - bottom);
  const grid = Array.from({ length: high - low + 1 }, (_, i) => {
    const us = 10 ** (low + i);
    const label =
      us >= 1000
        ? `${digits(us / 1000)
            .replace(".00", "")
            .replace(".0", "")} ms`
        : `${us} µs`;
    return (
      `<path class="grid" d="M${left} ${at(y(us))}H${width - right}"/>` +
      `<text class="tick" x="${left - 8}" y="${at(y(us) + 4)}" text-anchor="end">${label}</text>`
    );
  });
  const ticks = QUANTILES.map(
    ({ label }, i) =>
      `<text class="tick" x="${at(x(i))}" y="${height - bottom + 20}" text-anchor="middle">${label}</text>`,
  );
  const names = apart(lines.map(({ points }) => y(points.at(-1) ?? 1)));
  const drawn = lines.map(({ peer, points }, i) => {
    const path = points.map((us, j) => `${at(x(j))} ${at(y(us))}`).join("L");
    return (
      `<path class="line c-${peer}" d="M${path}"/>` +
      `<path class="line c-${peer}" d="M${width - right + 8} ${at(names[i] ?? 0)}h16"/>` +
      `<text class="${peer === OWN ? "own" : ""}" x="${width - right + 30}" y="${at((names[i] ?? 0) + 4.5)}">${peer}</text>`
    );
  });
  const title =
    `<text class="title" x="10" y="22">Latency at ${digits(found.workload.rate ?? 0)} requests a second</text>` +
    `<text class="note" x="10" y="40">1 KB POST, open loop: from the time a request was due; share of requests that took no longer</text>`;
  return svg(
    width,
    height,
    "Latency at a fixed rate",
    title + [...grid, ...ticks, ...drawn].join("\n"),
  );
}

/** Moves labels away from each other, keeping their order. */
function apart(positions: readonly number[]): number[] {
  const order = positions
    .map((_, i) => i)
    .sort((a, b) => (positions[a] ?? 0) - (positions[b] ?? 0));
  const moved = [...positions];
  let last = -Infinity;
  for (const i of order) {
    last = Math.max(moved[i] ?? 0, last + 16);
    moved[i] = last;
  }
  return moved;
}

function at(value: number): string {
  return value.toFixed(1).replace(/\.0$/, "");
}

function svg(width: number, height: number, label: string, content: string): string {
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${label}">\n` +
    `${STYLE}\n${content}\n</svg>\n`
  );
}
