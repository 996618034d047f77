// The record of one request and its answer: allow-listed fields, emitted once after it ends. Log line, metrics and roll-ups
// all read it here and nowhere else. Never holds a header but the context's and those that name the request, a query, a body
// or an error's message.
//
// Records are emitted in batches: what runs once a request finds the processor's caches cold, which makes it cost several
// times what it costs in a loop. Emitted one by one, they were a quarter of a request's CPU.
import type { Admission } from "../access/index.ts";
import type { Clock } from "../clock.ts";
import type { RefusalReason } from "../errors.ts";
import { newProcessId } from "../ids.ts";
import type { Log, LogFields } from "../log.ts";
import type { Metrics } from "../metrics.ts";
import { isForEverybody } from "../providers/index.ts";
import { readTraceparent } from "../trace.ts";
import { OpenCounts, type OpenCount } from "./open-counts.ts";
import type { CallContextFields } from "./context.ts";
import { createExchangeMeter } from "./exchange-meter.ts";
import { loggedPath, recordedPath } from "./path.ts";
import { loggedId } from "./request-ids.ts";

/** How an exchange ended. */
export type Outcome =
  /** The whole answer was passed on, whatever its status. */
  | "completed"
  /** We answered ourselves; see the reason. */
  | "refused"
  /** The client left before the end. */
  | "client_left"
  /** The upstream broke off within its answer. */
  | "upstream_broke"
  /** The upstream fell silent within its answer for longer than the deadline. */
  | "upstream_silent"
  /** The client stopped reading, or stopped sending its body, for longer than the deadline. */
  | "client_stalled"
  /** Cut by us: the token was revoked, or the service stopped. */
  | "cut";

export class Exchange {
  readonly id: string;
  readonly method: string;
  readonly startMs: number;
  websocket = false;
  /** Where it came from. */
  address: string | undefined;
  provider: string | undefined;
  /** Whether `provider` is one of the built-in names, and so may be a label. */
  providerIsBuiltIn = false;
  /** Raw, and only of a path that has a canonical form. */
  path: string | undefined;
  /** The form of it that rules compare. */
  canonicalPath: string | undefined;
  /** On whose behalf, as the agent says; undefined: it says nothing. */
  context: CallContextFields | undefined;
  /** As the client sent it: not checked, as the next two. */
  traceparent: string | undefined;
  clientRequestId: string | undefined;
  upstreamRequestId: string | undefined;
  workspaceId: string | undefined;
  agentId: string | undefined;
  agent: string | undefined;
  deployment: number | undefined;
  secretId: string | undefined;
  secretVersion: number | undefined;
  status: number | undefined;
  firstByteMs: number | undefined;
  /** The system's or the library's code for what went wrong with the upstream. */
  errorCode: string | undefined;
  /** Where it is counted as under way, from the decision to forward it until its end. */
  openCount: OpenCount | undefined;
  /** Where its agent or workspace has limits: that it was let in. */
  admission: Admission | undefined;
  requestBytes = 0;
  responseBytes = 0;
  /** How much of its time so far was spent by us, and not waiting for others. */
  ownMs = 0;
  /** Since when it is we who spend it; below 0: it isn't. */
  #ownSinceMs: number;
  /** Set at its end, as the next four. */
  outcome: Outcome | undefined;
  reason: RefusalReason | undefined;
  /** Of one that was cut: by what. */
  cutBy: RefusalReason | undefined;
  endedAtMs = 0;
  totalMs = 0;

  constructor(id: string, method: string, startMs: number) {
    this.id = id;
    this.method = method;
    this.startMs = startMs;
    this.#ownSinceMs = startMs;
  }

  /** Whether we are at it now. */
  get isOwnTime(): boolean {
    return this.#ownSinceMs >= 0;
  }

  /** From now on others spend its time: the client, the upstream, the network between. */
  pauseOwnTime(nowMs: number): void {
    if (this.#ownSinceMs < 0) return;
    this.ownMs += nowMs - this.#ownSinceMs;
    this.#ownSinceMs = -1;
  }

  resumeOwnTime(nowMs: number): void {
    if (this.#ownSinceMs < 0) this.#ownSinceMs = nowMs;
  }

  /** Whether the upstream had the call: it was forwarded, and its answer or its breaking off is no refusal of ours. */
  get wentUp(): boolean {
    return this.openCount !== undefined && this.outcome !== "refused";
  }

  /** Whether a good answer of the upstream says nothing of the key. */
  get isForEverybody(): boolean {
    return isForEverybody(this.provider ?? "", this.method, this.canonicalPath ?? "");
  }

  /** The path that rules compare, as far as it may be recorded; empty: not. */
  get recordedPath(): string {
    const { path, canonicalPath } = this;
    return path === undefined || canonicalPath === undefined
      ? ""
      : recordedPath(path, canonicalPath);
  }
}

/**
 * Takes those that have ended, some time after their end and off the way of any request. Must be quick, must not throw, and
 * must not keep them.
 */
export type ExchangeSink = (ended: readonly Exchange[]) => void;

export interface Exchanges {
  begin(method: string): Exchange;
  /** Counts it as under way with its agent's provider until it ends. */
  countOpen(exchange: Exchange): void;
  /** Notes the time to the first byte of the answer. From then on it is we who spend the exchange's time. */
  firstByte(exchange: Exchange): void;
  /** From now on somebody else spends its time. */
  pauseOwnTime(exchange: Exchange): void;
  /** From now on we do. */
  resumeOwnTime(exchange: Exchange): void;
  /** Ends it: its record is emitted soon. Later calls for the same exchange do nothing. */
  end(exchange: Exchange, outcome: Outcome, reason?: RefusalReason): void;
  /** Emits what waits. */
  flush(): void;
  /** The most that were under way at once since this was last asked, by agent and provider. */
  takeOpenCounts(): OpenCount[];
  /** How many have begun and not ended. */
  readonly open: number;
}

const BATCH_MS = 50;
const BATCH_RECORDS = 256;

/** Makes the recorder of exchanges; their ids begin with the process's, so that they are unique to it and those before it. */
export function createExchanges(o: {
  clock: Clock;
  log: Log;
  metrics: Metrics;
  onEnded?: ExchangeSink | undefined;
  processId?: string | undefined;
}): Exchanges {
  const { clock, log, metrics, onEnded } = o;
  const openCounts = new OpenCounts();
  const prefix = o.processId ?? newProcessId();
  let count = 0;
  let open = 0;
  let openWebsockets = 0;
  let ended: Exchange[] = [];
  let timer: NodeJS.Timeout | undefined;
  const flush = (): void => {
    clearTimeout(timer);
    timer = undefined;
    const batch = ended;
    ended = [];
    for (const exchange of batch) {
      measure(exchange);
      log.info("exchange", fields(exchange), exchange.endedAtMs);
    }
    if (batch.length > 0) onEnded?.(batch);
  };
  metrics.beforeScrape(() => {
    flush();
    metrics.openExchanges.set(open);
    metrics.openWebsockets.set(openWebsockets);
  });
  // Behind the flush, so that what that has counted is read with it.
  const measure = createExchangeMeter(metrics);
  return {
    get open() {
      return open;
    },
    begin(method) {
      open++;
      return new Exchange(`${prefix}-${(++count).toString(36)}`, method, clock.monotonicMs());
    },
    countOpen(exchange) {
      exchange.openCount = openCounts.enter(exchange);
      if (exchange.websocket) openWebsockets++;
    },
    firstByte(exchange) {
      const nowMs = clock.monotonicMs();
      exchange.firstByteMs ??= nowMs - exchange.startMs;
      exchange.resumeOwnTime(nowMs);
    },
    pauseOwnTime: (exchange) => exchange.pauseOwnTime(clock.monotonicMs()),
    resumeOwnTime: (exchange) => exchange.resumeOwnTime(clock.monotonicMs()),
    end(exchange, outcome, reason) {
      if (exchange.outcome !== undefined) return;
      open--;
      if (exchange.openCount !== undefined) {
        openCounts.leave(exchange.openCount);
        if (exchange.websocket) openWebsockets--;
      }
      exchange.admission?.end();
      exchange.outcome = outcome;
      exchange.reason = reason;
      exchange.endedAtMs = clock.nowMs();
      exchange.totalMs = clock.monotonicMs() - exchange.startMs;
      if (ended.push(exchange) >= BATCH_RECORDS) flush();
      else timer ??= setTimeout(flush, BATCH_MS).unref();
    },
    flush,
    takeOpenCounts: () => openCounts.take(),
  };
}

function fields(exchange: Exchange): LogFields {
  const { path, firstByteMs } = exchange;
  const trace = readTraceparent(exchange.traceparent);
  return {
    exchangeId: exchange.id,
    method: exchange.method,
    outcome: exchange.outcome,
    reason: exchange.reason,
    cutBy: exchange.cutBy,
    provider: exchange.provider,
    path: path === undefined ? undefined : loggedPath(path),
    status: exchange.status,
    requestBytes: exchange.requestBytes,
    responseBytes: exchange.responseBytes,
    firstByteMs: firstByteMs === undefined ? undefined : rounded(firstByteMs),
    totalMs: rounded(exchange.totalMs),
    address: exchange.address,
    workspaceId: exchange.workspaceId,
    agentId: exchange.agentId,
    agent: exchange.agent,
    deployment: exchange.deployment,
    secretId: exchange.secretId,
    secretVersion: exchange.secretVersion,
    websocket: exchange.websocket ? true : undefined,
    errorCode: exchange.errorCode,
    traceId: trace?.traceId,
    spanId: trace?.spanId,
    clientRequestId: loggedId(exchange.clientRequestId),
    upstreamRequestId: loggedId(exchange.upstreamRequestId),
    context: exchange.context,
  };
}

function rounded(ms: number): number {
  return Math.round(ms * 100) / 100;
}
