// Tests whether a saved key works, by a free call to the provider; limits the tests of each workspace. Returns only the status and a
// reason. Must send a key only to the origin that it is sealed for, and must record its release in the audit before opening it.
import { LRUCache } from "lru-cache";
import { record, type Actor } from "../audit/index.ts";
import type { Clock } from "../platform/clock.ts";
import type { Pool } from "../db/index.ts";
import { RequestError, SealError } from "../platform/errors.ts";
import { builtInProviders, type ProviderProbe } from "../providers/index.ts";
import type { Injection, SealedSecret, Vault } from "./strongroom.ts";

export interface KeyTest {
  ok: boolean;
  /** The status of the provider's answer; null: there was no answer. */
  status: number | null;
  /**
   * `accepted`: the provider accepted the key. `refused`: it refused it. `unreachable`: there was no answer. `no_test`: the provider
   * has no free call to test with. `unexpected`: any other answer, or a key that can't be opened.
   */
  reason: "accepted" | "refused" | "unreachable" | "no_test" | "unexpected";
  /** ISO 8601. */
  checkedAt: string;
}

/** Sends one GET to a provider. Resolves to the status, or to undefined when there is no answer. */
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
   * Saves a version and tests it. Where a limit allows no test now (429, 503), `save` gets that refusal: it may throw it, or save the
   * version untested.
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

const MAX_RUNNING = 64;
/** So that a workspace with a slow provider does not keep the others from saving keys. */
const MAX_RUNNING_PER_WORKSPACE = 4;
const MAX_PER_MINUTE = 10;
const MINUTE_MS = 60_000;
const MAX_WORKSPACES = 10_000;

/** `pool`: of the control role. `processId`: recorded in the audit events. */
export function createKeyTests(o: {
  pool: Pool;
  vault: Pick<Vault, "hold" | "inject">;
  clock: Clock;
  callProvider: CallProvider;
  processId: string;
}): KeyTests {
  const { pool, vault, clock } = o;
  const minutes = new LRUCache<string, { count: number; endsMs: number }>({ max: MAX_WORKSPACES });
  const running = new Map<string, number>(); // by workspace; a workspace without tests has no entry
  let runningInAll = 0;

  /** Counts a test, or returns the refusal when a limit is reached. */
  function claim(workspaceId: string): { readonly minute: { count: number } } | RequestError {
    const runningHere = running.get(workspaceId) ?? 0;
    if (runningHere >= MAX_RUNNING_PER_WORKSPACE || runningInAll >= MAX_RUNNING) {
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
    if (minute.count >= MAX_PER_MINUTE) {
      return new RequestError(
        429,
        "too_many_attempts",
        `A workspace has ${MAX_PER_MINUTE} key tests a minute. Try again in a minute.`,
      );
    }
    minute.count++;
    running.set(workspaceId, runningHere + 1);
    runningInAll++;
    return { minute };
  }

  function endTest(workspaceId: string): void {
    const left = (running.get(workspaceId) ?? 0) - 1;
    if (left > 0) running.set(workspaceId, left);
    else running.delete(workspaceId);
    runningInAll--;
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

  /** The target of an audit event. */
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
        endTest(by.workspaceId);
      }
    },
    async saveAndTest(by, save) {
      const turn = claim(by.workspaceId);
      if (turn instanceof RequestError) return { ...(await save(turn)), test: null };
      try {
        const saved = await save().catch((error: unknown) => {
          // A version that was not saved is not tested, and does not count.
          turn.minute.count--;
          throw error;
        });
        const sealed = await find(by.workspaceId, saved.secret.id, saved.version);
        return { ...saved, test: await testNow(by, sealed) };
      } finally {
        endTest(by.workspaceId);
      }
    },
  };
}

function judge({ refusedWith }: ProviderProbe, status: number | undefined): Result {
  if (status === undefined) return { status: null, reason: "unreachable" };
  if (status >= 200 && status < 300) return { status, reason: "accepted" };
  return { status, reason: refusedWith.includes(status) ? "refused" : "unexpected" };
}
