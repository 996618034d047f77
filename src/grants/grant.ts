// What a live token resolves to. Parsed once from the database's answer, trusted from there on. Holds sealed
// secrets, never a plaintext and never the token.
import { z } from "zod";
import type { TokenHash } from "../ids.ts";
import type { CredentialScheme } from "../providers/index.ts";
import type { HeldSecret, Vault } from "../vault/index.ts";
import type { Limits, WorkspaceLimits } from "../limits/index.ts";
import { compileScope, scopeRow, type Scope } from "../scopes/index.ts";

export interface CustomProvider {
  readonly name: string;
  readonly origin: string;
  readonly credential: CredentialScheme;
}

export interface Grant {
  readonly tokenHash: TokenHash;
  readonly workspaceId: string;
  readonly agentId: string;
  readonly agentName: string;
  readonly environment: string;
  readonly deployment: number;
  /** Wall-clock end of the token, milliseconds since the Unix epoch; undefined: none. */
  readonly expiresAtMs: number | undefined;
  /** Whether its agent, or all of its workspace, is suspended. */
  readonly suspended: boolean;
  readonly scope: Scope;
  readonly limits: Limits;
  /** Of all agents of the workspace together. */
  readonly workspaceLimits: WorkspaceLimits;
  /** Whether there is any limit at all. */
  readonly limited: boolean;
  readonly customProviders: ReadonlyMap<string, CustomProvider>;
  /** The active secret of its environment, by provider. */
  readonly secrets: ReadonlyMap<string, HeldSecret>;
  /** Monotonic time at which the query that brought it was started: it is true as of then, or later. */
  readonly loadedAtMs: number;
  /** Monotonic time from which on it is not served: its own, or the end of a release that it came with. */
  readonly untilMs: number;
}

const limits = z.object({
  requestsPerMinute: z.int().nullable(),
  openStreams: z.int().nullable(),
  bytesPerMinute: z.int().nullable(),
});
const bytes = z.string().transform((text) => Buffer.from(text, "base64"));

const Row = z.object({
  workspaceId: z.guid(),
  agentId: z.guid(),
  agentName: z.string(),
  environment: z.string(),
  deployment: z.int(),
  expiresAtMs: z.int().nullable(),
  suspended: z.boolean(),
  scope: scopeRow,
  limits,
  workspaceLimits: limits.extend({ openWebsockets: z.int().nullable() }),
  customProviders: z.array(
    z.object({ name: z.string(), origin: z.string(), header: z.string(), scheme: z.string() }),
  ),
  secrets: z.array(
    z.object({
      secretId: z.guid(),
      version: z.int(),
      workspaceId: z.guid(),
      provider: z.string(),
      origin: z.string(),
      header: z.string(),
      scheme: z.string(),
      keyId: z.string(),
      wrappedKey: bytes,
      ciphertext: bytes,
    }),
  ),
});

/**
 * Reads what `x3sproxy.resolve_token` returned for `tokenHash`. `untilMs`: how long it may be served at most. `releasedUntilMs`: until
 * when (monotonic) a release of the secret to the agent counts; undefined: there is none. Throws a ZodError when the row has another shape.
 */
export function parseGrant(
  row: unknown,
  o: {
    tokenHash: TokenHash;
    loadedAtMs: number;
    untilMs: number;
    vault: Pick<Vault, "hold">;
    releasedUntilMs: (agentId: string, secret: HeldSecret) => number | undefined;
  },
): Grant {
  const { scope, customProviders, secrets, expiresAtMs, ...rest } = Row.parse(row);
  const held = new Map(secrets.map((sealed) => [sealed.provider, o.vault.hold(sealed)]));
  let { untilMs } = o;
  for (const secret of held.values()) {
    const releasedUntilMs = o.releasedUntilMs(rest.agentId, secret);
    if (releasedUntilMs === undefined) continue;
    secret.release();
    untilMs = Math.min(untilMs, releasedUntilMs);
  }
  return {
    ...rest,
    tokenHash: o.tokenHash,
    loadedAtMs: o.loadedAtMs,
    untilMs,
    expiresAtMs: expiresAtMs ?? undefined,
    limited: [rest.limits, rest.workspaceLimits].some((of) =>
      Object.values(of).some((limit) => limit !== null),
    ),
    scope: compileScope(scope),
    customProviders: new Map(
      customProviders.map(({ name, origin, header, scheme }) => [
        name,
        { name, origin, credential: { header, scheme } },
      ]),
    ),
    secrets: held,
  };
}

/** Zeroes the opened secrets of a grant. It can't be used for a call afterwards. */
export function wipeGrant(grant: Pick<Grant, "secrets">): void {
  for (const secret of grant.secrets.values()) secret.wipe();
}
