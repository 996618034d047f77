// A CPU profile as a flame graph: width is time, each row calls the one above it.
import type { Profile } from "../profile.ts";

const WIDTH = 1200;
const ROW = 17;
const NARROWEST = 1.2;
const LETTER = 6.6;

interface Frame {
  readonly name: string;
  us: number;
  readonly children: Map<string, Frame>;
}

/** Idle time is left out. */
export function flamePlot(profile: Profile, title: string): string {
  const root = treeOf(profile);
  const boxes: string[] = [];
  let depthSeen = 0;
  const draw = (frame: Frame, x: number, depth: number): void => {
    const width = (frame.us / root.us) * WIDTH;
    if (width < NARROWEST) return;
    depthSeen = Math.max(depthSeen, depth);
    const y = 34 + depth * ROW;
    const room = Math.floor((width - 6) / LETTER);
    const label =
      frame.name.length <= room ? frame.name : room > 3 ? frame.name.slice(0, room - 1) + "…" : "";
    const share = ((frame.us / root.us) * 100).toFixed(1);
    boxes.push(
      `<g><title>${escaped(frame.name)} ${share} %</title>` +
        `<rect x="${x.toFixed(1)}" y="${y}" width="${(width - 0.4).toFixed(1)}" height="${ROW - 1}" fill="${colour(frame.name)}" rx="1.5"/>` +
        (label === ""
          ? ""
          : `<text x="${(x + 3).toFixed(1)}" y="${y + 12}">${escaped(label)}</text>`) +
        "</g>",
    );
    let from = x;
    for (const child of [...frame.children.values()].sort((a, b) => b.us - a.us)) {
      draw(child, from, depth + 1);
      from += (child.us / root.us) * WIDTH;
    }
  };
  draw(root, 0, 0);
  const height = 34 + (depthSeen + 1) * ROW + 8;
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img">` +
    `<style>text{font:11px ui-monospace,Menlo,Consolas,monospace;fill:#1f2933}.t{font:600 14px system-ui,sans-serif}</style>` +
    `<rect width="100%" height="100%" fill="#fff"/><text class="t" x="4" y="20">${escaped(title)}</text>${boxes.join("\n")}</svg>\n`
  );
}

function treeOf(profile: Profile): Frame {
  const self = new Map<number, number>();
  profile.samples.forEach((id, i) =>
    self.set(id, (self.get(id) ?? 0) + (profile.timeDeltas[i] ?? 0)),
  );
  const byId = new Map(profile.nodes.map((node) => [node.id, node]));
  const root: Frame = { name: "all", us: 0, children: new Map() };
  const add = (id: number, into: Frame): number => {
    const node = byId.get(id);
    if (node === undefined || node.callFrame.functionName === "(idle)") return 0;
    const { functionName, url } = node.callFrame;
    const name = `${functionName || "(anonymous)"}${url === "" ? "" : ` ${url.replace(/^.*\//, "")}`}`;
    const frame = into.children.get(name) ?? { name, us: 0, children: new Map<string, Frame>() };
    into.children.set(name, frame);
    let us = self.get(id) ?? 0;
    for (const child of node.children ?? []) us += add(child, frame);
    frame.us += us;
    return us;
  };
  const [first] = profile.nodes;
  for (const child of first?.children ?? []) root.us += add(child, root);
  return root;
}

function colour(name: string): string {
  if (name.startsWith("(")) return "#cfd6dc";
  if (
    / (?:call|server|forward|headers|exchange|credential-slots|route|path|upstream|access|look-ups|token-cache|strongroom|sealing|log|deadlines|request-body|endings|upstream-answer)\.ts$/.test(
      name,
    )
  )
    return "#7fcfc4";
  if (
    /client|pool|request|dispatcher|agent|util|connect|wrap-handler|symbols/.test(name) &&
    name.endsWith(".js")
  )
    return "#f2b98f";
  if (/node:| _http|net$|streams?/.test(name)) return "#a9c8ee";
  return "#e3d9a8";
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}
