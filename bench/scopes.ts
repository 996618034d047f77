// What it costs to hold an agent to its scope: the same work with tokens of the same process, one after the other, round by round.
import type { Loader } from "./load.ts";
import type { Peer } from "./peers/peer.ts";
import type { OwnPeer } from "./peers/x3sproxy.ts";
import { measureRounds, type UpstreamCounts, type Window } from "./windows.ts";
import type { Workload } from "./workloads.ts";

/** What an agent may be held to, by what the tables call it. All of it allows what the bench asks for. */
const HELD_TO: Readonly<Record<string, object>> = {
  "rules, addresses, providers, an end": {
    providers: ["openai", "groq", "together"],
    rules: ["GET /*/v1/models/**", "POST /openai/v1/responses", "POST /*/v1/chat/completions"],
    addresses: ["10.0.0.0/8", "127.0.0.0/8"],
    scopeExpiresAt: "2100-01-01T00:00:00Z",
  },
  limits: {
    limits: {
      requestsPerMinute: 1_000_000_000,
      openStreams: 1_000_000,
      bytesPerMinute: 1_000_000_000_000,
    },
  },
  "a list of models": { models: ["gpt-*", "json", "sdk", "bench"] },
};

export interface ScopeCost {
  readonly workload: Workload;
  /** By what the token is held to; that of nothing first. */
  readonly windows: readonly (readonly [heldTo: string, windows: readonly Window[]])[];
}

export async function measureScopes(
  own: OwnPeer,
  workload: Workload,
  o: {
    readonly loader: Loader;
    readonly askUpstream: () => Promise<UpstreamCounts>;
    readonly tell: (text: string) => void;
  },
): Promise<ScopeCost> {
  const tokens = await Promise.all(
    Object.entries(HELD_TO).map(
      async ([heldTo, scope], at) => [heldTo, await own.deploy(`held-to-${at}`, scope)] as const,
    ),
  );
  const held = (token: string): Peer => ({
    ...own,
    door(route) {
      const door = own.door(route);
      return door && { ...door, bearer: token };
    },
  });
  const doors: [string, Peer][] = [
    ["nothing", own],
    ...tokens.map(([heldTo, token]): [string, Peer] => [heldTo, held(token)]),
  ];
  const windows = new Map<string, Window[]>(doors.map(([heldTo]) => [heldTo, []]));
  for (let round = 0; round < workload.rounds; round++) {
    for (const [heldTo, peer] of doors) {
      const once = await measureRounds({ ...workload, rounds: 1 }, [peer], {
        loader: o.loader,
        askUpstream: o.askUpstream,
        tell: (_peer, _round, { cpuUs }) =>
          o.tell(`held to ${heldTo}, ${workload.id} ${round + 1}: ${cpuUs.toFixed(1)} µs CPU`),
      });
      windows.get(heldTo)?.push(...(once.x3sproxy ?? []));
    }
  }
  return { workload, windows: [...windows] };
}
