// Look-ups over a database that answers when the test says so, to reach the interleavings that a real one hides.
import assert from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import type { Grant } from "../../src/grants/index.ts";
import { createLookUps, type LookUps } from "../../src/grants/look-ups.ts";
import { compileScope } from "../../src/scopes/scope.ts";
import { createTokenCache, type TokenCache } from "../../src/grants/token-cache.ts";
import { StoreUnavailableError } from "../../src/errors.ts";
import type { TokenHash } from "../../src/ids.ts";
import { createLog } from "../../src/log.ts";
import { createMetrics } from "../../src/metrics.ts";
import { createManualClock, type ManualClock } from "./manual-clock.ts";

export interface Query {
  readonly tokenHash: TokenHash;
  answer(row: Row | null): void;
  fail(): void;
}

/** What the scripted database knows of a token. */
export interface Row {
  readonly agentId: string;
  readonly workspaceId: string;
  readonly version: number;
  /** The newest version that the cache had been told of when this was answered. */
  readonly announced?: number;
}

/** A grant as these look-ups make it. */
export interface ScriptedGrant extends Grant {
  readonly row: Row;
  readonly wiped: () => boolean;
}

export interface Scripted {
  readonly clock: ManualClock;
  readonly cache: TokenCache;
  readonly lookUps: LookUps;
  /** Queries that wait for an answer, oldest first. An answered one leaves. */
  readonly queries: Query[];
  /** Queries ever made. */
  readonly asked: () => number;
  readonly made: ScriptedGrant[];
  readonly logged: string[];
  readonly metric: (result: string) => Promise<number>;
}

const NO_LIMITS = compileScope({
  providers: null,
  rules: null,
  allowedEndpoints: [],
  addresses: null,
  models: null,
  expiresAtMs: null,
});

export const hashOf = (name: string): TokenHash => name as TokenHash;

export function isGrant(found: unknown): found is ScriptedGrant {
  return typeof found === "object" && found !== null && "wiped" in found;
}

/** Lets everything that is due run: microtasks, then what was put off to the next turn. */
export async function settle(): Promise<void> {
  await turn();
  await turn();
}

export function createScripted(): Scripted {
  const clock = createManualClock();
  const cache = createTokenCache();
  const metrics = createMetrics();
  const queries: Query[] = [];
  const made: ScriptedGrant[] = [];
  const logged: string[] = [];
  let asked = 0;

  const query = (tokenHash: TokenHash): Promise<Row | null> => {
    asked += 1;
    const { promise, resolve, reject } = Promise.withResolvers<Row | null>();
    const leave = (): void => void queries.splice(queries.indexOf(entry), 1);
    const entry: Query = {
      tokenHash,
      answer(row) {
        leave();
        resolve(row);
      },
      fail() {
        leave();
        reject(new StoreUnavailableError("scripted"));
      },
    };
    queries.push(entry);
    return promise;
  };

  const parse = (
    row: unknown,
    of: { tokenHash: TokenHash; loadedAtMs: number; untilMs: number },
  ): Grant => {
    const { agentId, workspaceId, version } = row as Row;
    let wiped = false;
    const secret = {
      secretId: "s",
      version,
      origin: "https://upstream.example",
      ...{ header: "authorization", scheme: "Bearer" },
      released: undefined,
      opened: false,
      release: () => assert.fail(),
      wipe: () => (wiped = true),
    };
    const grant: ScriptedGrant = {
      ...of,
      agentId,
      workspaceId,
      row: row as Row,
      wiped: () => wiped,
      agentName: agentId,
      environment: "production",
      deployment: version,
      expiresAtMs: undefined,
      suspended: false,
      limited: false,
      scope: NO_LIMITS,
      limits: { requestsPerMinute: null, openStreams: null, bytesPerMinute: null },
      workspaceLimits: {
        requestsPerMinute: null,
        openStreams: null,
        bytesPerMinute: null,
        openWebsockets: null,
      },
      customProviders: new Map(),
      secrets: new Map([["openai", secret]]),
    };
    made.push(grant);
    return grant;
  };

  const log = createLog({ level: "debug", destination: { write: (line) => logged.push(line) } });
  return {
    clock,
    cache,
    lookUps: createLookUps({ cache, query, parse, clock, log, metrics }),
    queries,
    asked: () => asked,
    made,
    logged,
    async metric(result) {
      const { values } = await metrics.cacheLookups.get();
      return values.find(({ labels }) => labels.result === result)?.value ?? 0;
    },
  };
}
