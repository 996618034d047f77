// What a client test needs: the look-alike of the providers over TLS, under an authority of the test's own, and in
// front of it the running product with a key for each provider and an agent's token.
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import {
  createLookAlike,
  type LookAlike,
  type RecordedRequest,
} from "../../demo/look-alike/look-alike.ts";
import { createAuthority, type Authority } from "./authority.ts";
import { createTestDatabase } from "./database.ts";
import { eventually } from "./eventually.ts";
import { runService, type RunningService } from "./service.ts";

/** The real keys of the look-alike. Fakes, each long enough to be told apart in a log. */
const KEYS = {
  anthropic: "sk-ant-api03-FAKE-anthropic-key-for-tests-0000-1111",
  openai: "sk-proj-FAKE-openai-key-for-tests-0000-2222",
  gemini: "AIzaFAKE-gemini-key-for-tests-00000-3333",
} as const;

export interface LookAlikeBehindProxy {
  readonly lookAlike: LookAlike;
  readonly service: RunningService;
  readonly authority: Authority;
  readonly keys: typeof KEYS;
  /** Of an agent that may use every provider of KEYS. */
  readonly token: string;
  /** Of an agent in an environment without any key. */
  readonly keylessToken: string;
  /** What an agent sets as the base URL, before the provider's own path. */
  baseUrl(provider: string): string;
  /** The newest request that reached the look-alike. */
  lastRequest(): RecordedRequest;
  /** Fails unless that request ends within a second, and because its caller left. */
  assertAbandoned(): Promise<void>;
  /** Runs `call` and fails if anything reaches the look-alike. */
  assertNothingUpstream(call: () => Promise<unknown>): Promise<void>;
  /** Fails if an x3sproxy token ever went upstream, or a real key stands in what the service wrote. */
  assertNothingLeaked(): Promise<void>;
  close(): Promise<void>;
}

/** Starts it all; about two seconds. */
export async function startLookAlikeBehindProxy(): Promise<LookAlikeBehindProxy> {
  const [authority, database] = await Promise.all([createAuthority(), createTestDatabase()]);
  const lookAlike = createLookAlike({
    keys: Object.fromEntries(Object.entries(KEYS).map(([provider, key]) => [provider, [key]])),
    tls: await authority.issue(),
  });
  const open: (() => Promise<unknown>)[] = [
    () => authority.remove(),
    () => database.drop(),
    () => lookAlike.close(),
  ];
  const close = async (): Promise<void> => {
    for (const end of open.splice(0).reverse()) await end();
  };
  const lastRequest = (): RecordedRequest => {
    const last = lookAlike.requests.at(-1);
    assert.ok(last, "no request reached the look-alike");
    return last;
  };
  try {
    const origin = await lookAlike.listen();
    const providers = Object.keys(KEYS);
    const service = await runService({
      database,
      env: {
        ...Object.fromEntries(
          providers.map((provider) => [`X3SPROXY_ORIGIN_${provider.toUpperCase()}`, origin]),
        ),
        X3SPROXY_ALLOW_PRIVATE_UPSTREAMS: "127.0.0.0/8",
        X3SPROXY_DRAIN_TIMEOUT: "2s",
        NODE_EXTRA_CA_CERTS: authority.file,
      },
    });
    open.push(() => service.remove());
    for (const [provider, key] of Object.entries(KEYS)) await service.setSecret(provider, key);
    return {
      lookAlike,
      service,
      authority,
      keys: KEYS,
      token: await service.deploy("agent"),
      keylessToken: await service.deploy("keyless", "--environment", "empty"),
      baseUrl: (provider) => `${service.proxyUrl}/${provider}`,
      lastRequest,
      async assertAbandoned() {
        const late = sleep(1000, "still open after 1 s", { ref: false });
        assert.equal(await Promise.race([lastRequest().ended, late]), "abandoned");
      },
      async assertNothingUpstream(call) {
        const before = lookAlike.requests.length;
        await call();
        assert.equal(lookAlike.requests.length, before);
      },
      async assertNothingLeaked() {
        const written = (): string => service.output.stdout + service.output.stderr;
        const recorded = (): number => written().split('"msg":"exchange"').length - 1;
        assert.ok(lookAlike.requests.length > 0);
        await eventually(() => recorded() >= lookAlike.requests.length);
        for (const { url, rawHeaders, body } of lookAlike.requests) {
          assert.doesNotMatch([url, ...rawHeaders, body.start].join("\n"), /x3sproxy_/);
        }
        for (const key of Object.values(KEYS)) assert.ok(!written().includes(key));
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** What the promise is rejected with; fails if it is not. */
export async function rejection(promise: PromiseLike<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  return assert.fail("it should have been rejected");
}
