// How many calls each agent has open at each provider, and the peak. Counts each call as it begins and ends (two look-ups), since samples
// would miss a rush.

/** What of an exchange it is counted by. */
type Counted = {
  readonly [Field in "workspaceId" | "agentId" | "agent" | "provider"]: string | undefined;
} & { readonly deployment: number | undefined };

export interface OpenCount {
  readonly workspaceId: string;
  readonly agentId: string;
  readonly agent: string;
  readonly provider: string;
  /** From the latest call. */
  readonly deployment: number;
  /** Open now. */
  readonly now: number;
  /** The peak since the counts were last taken. */
  readonly most: number;
}

type Count = { -readonly [Field in keyof OpenCount]: OpenCount[Field] };

export class OpenCounts {
  readonly #byAgent = new Map<string, Map<string, Count>>();

  /** Counts an exchange whose agent and provider are known. Pass the result to `leave` when it ends. */
  enter({
    workspaceId = "",
    agentId = "",
    agent = "",
    provider = "",
    deployment = 0,
  }: Counted): OpenCount {
    let ofAgent = this.#byAgent.get(agentId);
    if (ofAgent === undefined) this.#byAgent.set(agentId, (ofAgent = new Map<string, Count>()));
    let count = ofAgent.get(provider);
    if (count === undefined) {
      count = { workspaceId, agentId, agent, provider, deployment, now: 0, most: 0 };
      ofAgent.set(provider, count);
    }
    count.deployment = deployment;
    if (++count.now > count.most) count.most = count.now;
    return count;
  }

  leave(count: OpenCount): void {
    (count as Count).now--;
  }

  /** The counts since the last call of this. Forgets those with nothing open. */
  take(): OpenCount[] {
    const taken: OpenCount[] = [];
    for (const [agentId, ofAgent] of this.#byAgent) {
      for (const [provider, count] of ofAgent) {
        taken.push({ ...count });
        if (count.now === 0) ofAgent.delete(provider);
        else count.most = count.now;
      }
      if (ofAgent.size === 0) this.#byAgent.delete(agentId);
    }
    return taken;
  }
}
