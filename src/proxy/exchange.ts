// The record of one request and its answer, emitted once after it ends. The log line, metrics and activity all read it, and nothing
// else. Its fields are an allow-list: no query, body or error message, and of the headers only the context and ids of the request.
//
// Records are emitted in batches. Code that runs once a request finds cold CPU caches and costs several times what it costs in a loop:
// one by one, the records were a quarter of a request's CPU.
import type { Admission } from "../limits/index.ts";
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
  /** The upstream sent nothing for longer than the deadline, in the middle of its answer. */
  | "upstream_silent"
  /** The client stopped reading, or stopped sending its body, for longer than the deadline. */
  | "client_stalled"
  /** We cut it: the token was revoked, or the service stopped. */
  | "cut";

export class Exchange {
  readonly id: string;
  readonly method: string;
  readonly startMs: number;
  websocket = false;
  /** The client's IP address. */
  address: string | undefined;
  provider: string | undefined;
  /** Whether `provider` is one of the built-in names, and so may be a label. */
  providerIsBuiltIn = false;
  /** The raw path, if it has a canonical form. */
  path: string | undefined;
  /** Its canonical form, which rules compare. */
  canonicalPath: string | undefined;
  /** On whose behalf the agent calls, as it says. */
  context: CallContextFields | undefined;
  /** As the client sent it, unchecked; so are the next two. */
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
  /** The count of open calls that it is part of, while it is forwarded. */
  openCount: OpenCount | undefined;
  /** Set if its agent or workspace has limits, once they have admitted it. */
  admission: Admission | undefined;
  requestBytes = 0;
  responseBytes = 0;
  /** Our own part of its time so far, without waiting for others, in ms. */
  ownMs = 0;
  /** Since when our own time runs; below 0: it is paused. */
  #ownSinceMs: number;
  /** Set when it ends; so are the next four. */
  outcome: Outcome | undefined;
  reason: RefusalReason | undefined;
  /** Why it was cut. */
  cutBy: RefusalReason | undefined;
  endedAtMs = 0;
  totalMs = 0;

  constructor(id: string, method: string, startMs: number) {
    this.id = id;
    this.method = method;
    this.startMs = startMs;
    this.#ownSinceMs = startMs;
  }

  /** Whether our own time runs. */
  get isOwnTime(): boolean {
    return this.#ownSinceMs >= 0;
  }

  /** From now on it waits for the client, the upstream or the network. */
  pauseOwnTime(nowMs: number): void {
    if (this.#ownSinceMs < 0) return;
    this.ownMs += nowMs - this.#ownSinceMs;
    this.#ownSinceMs = -1;
  }

  resumeOwnTime(nowMs: number): void {
    if (this.#ownSinceMs < 0) this.#ownSinceMs = nowMs;
  }

  /** Whether the call reached the upstream: it was forwarded, and not refused by us. */
  get wentUp(): boolean {
    return this.openCount !== undefined && this.outcome !== "refused";
  }

  /** Whether the upstream answers this without looking at the key. */
  get isForEverybody(): boolean {
    return isForEverybody(this.provider ?? "", this.method, this.canonicalPath ?? "");
  }

  /** The canonical path as far as it may be recorded; empty: not at all. */
  get recordedPath(): string {
    const { path, canonicalPath } = this;
    return path === undefined || canonicalPath === undefined
      ? ""
      : recordedPath(path, canonicalPath);
  }
}

/** Takes exchanges that have ended, in batches and a little later. Must be quick, must not throw and must not keep them. */
export type ExchangeSink = (ended: readonly Exchange[]) => void;

export interface Exchanges {
  begin(method: string): Exchange;
  /** Counts it as an open call of its agent and provider until it ends. */
  countOpen(exchange: Exchange): void;
  /** Notes the time to the answer's first byte. From then on our own time runs. */
  firstByte(exchange: Exchange): void;
  /** Pauses our own time. */
  pauseOwnTime(exchange: Exchange): void;
  /** Lets our own time run on. */
  resumeOwnTime(exchange: Exchange): void;
  /** Ends it; its record is emitted soon. A second call for the same exchange does nothing. */
  end(exchange: Exchange, outcome: Outcome, reason?: RefusalReason): void;
  /** Emits the records that wait. */
  flush(): void;
  /** The peaks of open calls since the last call of this, by agent and provider. */
  takeOpenCounts(): OpenCount[];
  /** How many are open. */
  readonly open: number;
}

const BATCH_MS = 50;
const BATCH_RECORDS = 256;

/** Makes the recorder of exchanges. Their ids begin with the process's id, so that they are unique. */
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
  // After the flush, so that this reading includes what the flush has counted.
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
