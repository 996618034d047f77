// Whether a saved key works: a free call to the provider, to the origin that the key is sealed for and nowhere else. What comes
// out is a status and a word. Every test is in the audit, its opening of the key before it happens, and a workspace has few of them a
// minute.
import { LRUCache } from "lru-cache";
import { record, type Actor } from "../audit/index.ts";
import type { Clock } from "../platform/clock.ts";
import type { Pool } from "../db/index.ts";
import { RequestError, SealError } from "../platform/errors.ts";
import { builtInProviders, type ProviderProbe } from "../providers/index.ts";
import type { Injection, SealedSecret, Vault } from "./strongroom.ts";

export interface KeyTest {
  ok: boolean;
  /** Of the provider's answer. */
  status: number | null;
  /**
   * `accepted`: the provider took the key. `refused`: it did not. `unreachable`: there was no answer. `no_test`: there is no free
   * call. `unexpected`: any other answer, or a key that can't be opened.
   */
  reason: "accepted" | "refused" | "unreachable" | "no_test" | "unexpected";
  /** ISO 8601. */
  checkedAt: string;
}

/** One GET to a provider. Gives the status, or undefined when there is no answer. */
export type CallProvider = (call: {
  readonly origin: string;
  readonly path: string;
  readonly headers: readonly string[];
  readonly injection: Injection;
}) => Promise<number | undefined>;

export interface KeyTests {
  /**
   * Tests a version, by default the active one. Throws RequestError: 404 `secret_not_found` or `version_not_found`, 429
   * `too_many_attempts`, 503 `busy`.
   */
  test(by: Actor, secretId: string, version?: number): Promise<KeyTest>;
  /**
   * Tests the version that `save` gives. Where no test is free (429, 503), `save` gets that refusal, to throw it or to save without one.
   */
  saveAndTest<T extends SavedVersion>(
    by: Actor,
    save: (refusal?: RequestError) => Promise<T>,
  ): Promise<T & { test: KeyTest | null }>;
}

interface SavedVersion {
  readonly secret: { readonly id: string };
  readonly version: number;
}

type Found = SealedSecret & { readonly environment: string };
type Result = Pick<KeyTest, "status" | "reason">;

const AT_ONCE = 64;
/** So that no workspace whose provider is slow keeps the others from rotating. */
const AT_ONCE_PER_WORKSPACE = 4;
const PER_MINUTE = 10;
const MINUTE_MS = 60_000;
const MAX_WORKSPACES = 10_000;

/** `pool`: of the control role. */
export function createKeyTests(o: {
  pool: Pool;
  vault: Pick<Vault, "hold" | "inject">;
  clock: Clock;
  callProvider: CallProvider;
  /** Of this process, for events. */
  processId: string;
}): KeyTests {
  const { pool, vault, clock } = o;
  const minutes = new LRUCache<string, { count: number; endsMs: number }>({ max: MAX_WORKSPACES });
  const running = new Map<string, number>(); // by workspace; none has 0
  let runningOfAll = 0;

  /** Takes a turn, or gives the reason why there is none. */
  function claim(workspaceId: string): { readonly minute: { count: number } } | RequestError {
    const runningHere = running.get(workspaceId) ?? 0;
    if (runningHere >= AT_ONCE_PER_WORKSPACE || runningOfAll >= AT_ONCE) {
      return new RequestError(
        503,
        "busy",
        "Other keys are being tested. Try again in a few seconds.",
      );
    }
    const nowMs = clock.monotonicMs();
    let minute = minutes.get(workspaceId);
    if (minute === undefined || minute.endsMs <= nowMs) {
      minute = { count: 0, endsMs: nowMs + MINUTE_MS };
      minutes.set(workspaceId, minute);
    }
    if (minute.count >= PER_MINUTE) {
      return new RequestError(
        429,
        "too_many_attempts",
        `A workspace has ${PER_MINUTE} key tests a minute. Try again in a minute.`,
      );
    }
    minute.count++;
    running.set(workspaceId, runningHere + 1);
    runningOfAll++;
    return { minute };
  }

  function giveBack(workspaceId: string): void {
    const left = (running.get(workspaceId) ?? 0) - 1;
    if (left > 0) running.set(workspaceId, left);
    else running.delete(workspaceId);
    runningOfAll--;
  }

  async function find(workspaceId: string, secretId: string, version?: number): Promise<Found> {
    const rows = await pool.inWorkspace(
      workspaceId,
      (sql) => sql<Found[]>`
        select v.secret_id as "secretId", v.version, v.workspace_id as "workspaceId", s.provider, s.environment, v.origin,
          v.header, v.scheme, v.key_id as "keyId", v.wrapped_key as "wrappedKey", v.ciphertext
        from x3sproxy.secrets s
        join x3sproxy.secret_versions v
          on v.secret_id = s.id and v.version = coalesce(${version ?? null}::integer, s.active_version)
        where s.id = ${secretId} and s.workspace_id = ${workspaceId}`,
    );
    const [row] = rows;
    if (row !== undefined) return row;
    if (version === undefined) {
      throw new RequestError(404, "secret_not_found", "There is no such secret.");
    }
    throw new RequestError(404, "version_not_found", "The secret has no such version.");
  }

  /** Of an event. */
  function targetOf({ secretId, provider, environment }: Found) {
    return { kind: "secret", id: secretId, name: `${provider}/${environment}` };
  }

  async function attempt(by: Actor, sealed: Found): Promise<Result> {
    const provider = builtInProviders.get(sealed.provider);
    const probe = provider?.probe;
    if (provider === undefined || probe == null) return { status: null, reason: "no_test" };
    const { origin } = sealed;
    const { path, headers } = probe;
    await pool.inWorkspace(sealed.workspaceId, (sql) =>
      record(sql, by, {
        action: "secret.release",
        target: targetOf(sealed),
        detail: {
          process: o.processId,
          provider: sealed.provider,
          purpose: "key_test",
          version: sealed.version,
        },
      }),
    );
    const held = vault.hold(sealed);
    try {
      const injection = vault.inject(held.release(), origin);
      return judge(probe, await o.callProvider({ origin, path, headers, injection }));
    } catch (error) {
      if (error instanceof SealError) return { status: null, reason: "unexpected" };
      throw error;
    } finally {
      held.wipe();
    }
  }

  async function testNow(by: Actor, sealed: Found): Promise<KeyTest> {
    const result = await attempt(by, sealed);
    await pool.inWorkspace(by.workspaceId, (sql) =>
      record(sql, by, { action: "secret.test", target: targetOf(sealed), result: result.reason }),
    );
    return {
      ok: result.reason === "accepted",
      ...result,
      checkedAt: new Date(clock.nowMs()).toISOString(),
    };
  }

  return {
    async test(by, secretId, version) {
      const sealed = await find(by.workspaceId, secretId, version);
      const turn = claim(by.workspaceId);
      if (turn instanceof RequestError) throw turn;
      try {
        return await testNow(by, sealed);
      } finally {
        giveBack(by.workspaceId);
      }
    },
    async saveAndTest(by, save) {
      const turn = claim(by.workspaceId);
      if (turn instanceof RequestError) return { ...(await save(turn)), test: null };
      try {
        const saved = await save().catch((error: unknown) => {
          // What was not saved was not tested either.
          turn.minute.count--;
          throw error;
        });
        const sealed = await find(by.workspaceId, saved.secret.id, saved.version);
        return { ...saved, test: await testNow(by, sealed) };
      } finally {
        giveBack(by.workspaceId);
      }
    },
  };
}

function judge({ refusedWith }: ProviderProbe, status: number | undefined): Result {
  if (status === undefined) return { status: null, reason: "unreachable" };
  if (status >= 200 && status < 300) return { status, reason: "accepted" };
  return { status, reason: refusedWith.includes(status) ? "refused" : "unexpected" };
}
