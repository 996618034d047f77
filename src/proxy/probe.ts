// One call of our own to an upstream, to learn whether a key works there. By the same connector, address rule, TLS policy and
// forward proxy as the calls of agents; on connections of its own. Reads no body, and keeps nothing but the status.
import type { Dispatcher } from "undici";
import type { Clock } from "../clock.ts";
import type { Config } from "../config.ts";
import type { Injection } from "../vault/index.ts";
import { createAddressRule } from "./address-rule.ts";
import { createUpstreams, type Connection, type UpstreamHandler } from "./upstream.ts";

const DEADLINE_MS = 10_000;

export interface ProbeCall {
  /** Normalised; the one that the key is sealed for. */
  readonly origin: string;
  /** Path and query. */
  readonly path: string;
  /** Raw pairs that go with it. */
  readonly headers: readonly string[];
  readonly injection: Injection;
}

export interface Probe {
  /** The status of the answer to a GET; undefined when there is none within 10 s, or the address is not allowed. */
  call(call: ProbeCall): Promise<number | undefined>;
  /** Cuts what is under way. */
  destroy(): Promise<void>;
}

/** Makes it. Throws ConfigError when the forward proxy's URL can't be used. */
export function createProbe(
  config: Pick<Config, "deadlines" | "upstreamProxy" | "allowPrivateUpstreams">,
  clock: Clock,
): Probe {
  const rule = createAddressRule(config.allowPrivateUpstreams);
  const upstreams = createUpstreams({ ...config, rule, clock });
  return {
    call: ({ origin, path, headers, injection }) =>
      new Promise((resolve) => {
        const raw = ["accept", "application/json", "user-agent", "x3sproxy", ...headers];
        injection.applyTo(raw);
        const handler = new StatusOnly(resolve);
        upstreams.dispatch(origin, { method: "GET", path, headers: raw, reset: true }, handler);
      }),
    destroy: () => upstreams.destroy(),
  };
}

/** Takes the status and lets go of the rest. */
class StatusOnly implements UpstreamHandler {
  connection: Connection | undefined;
  readonly #resolve: (status: number | undefined) => void;
  readonly #timer: NodeJS.Timeout;
  #controller: Dispatcher.DispatchController | undefined;
  #over = false;

  constructor(resolve: (status: number | undefined) => void) {
    this.#resolve = resolve;
    this.#timer = setTimeout(() => this.#end(undefined), DEADLINE_MS);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#over) controller.abort(new Error("too late"));
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number): void {
    if (status >= 200) this.#end(status);
  }

  onResponseData(): void {
    // Nobody reads it.
  }

  onResponseEnd(): void {
    this.#end(undefined);
  }

  onResponseError(): void {
    this.#end(undefined);
  }

  #end(status: number | undefined): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#timer);
    this.#resolve(status);
    this.#controller?.abort(new Error("no longer wanted"));
  }
}
