// A call of our own to an upstream, which tests whether a key works there. It uses the same connector, address rule, TLS policy and forward
// proxy as agents' calls, on its own connections. Reads no body, and keeps only the status.
import type { Dispatcher } from "undici";
import type { Clock } from "../platform/clock.ts";
import type { Config } from "../platform/config.ts";
import type { Injection } from "../vault/index.ts";
import { createAddressRule } from "./address-rule.ts";
import { createUpstreams, type Connection, type UpstreamHandler } from "./upstream.ts";

const DEADLINE_MS = 10_000;

export interface ProbeCall {
  /** Normalised; the key is sealed for it. */
  readonly origin: string;
  /** Path and query. */
  readonly path: string;
  /** Raw pairs. */
  readonly headers: readonly string[];
  readonly injection: Injection;
}

export interface Probe {
  /** Sends a GET; resolves to the answer's status; undefined when none comes within 10 s, or the address is refused. */
  call(call: ProbeCall): Promise<number | undefined>;
  /** Cuts open calls. */
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

/** Takes the status and ends the call. */
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
