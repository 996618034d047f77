// The recorder of exchanges: begins and ends them, and emits the records of those that have ended.
//
// Records are emitted in batches. Code that runs once a request finds cold CPU caches and costs several times what it costs in a loop:
// one by one, the records were a quarter of a request's CPU.
import type { Clock } from "../platform/clock.ts";
import type { RefusalReason } from "../platform/errors.ts";
import { newProcessId } from "../platform/ids.ts";
import type { Log, LogFields } from "../platform/log.ts";
import type { Metrics } from "../platform/metrics.ts";
import { readTraceparent } from "../platform/trace.ts";
import { Exchange, type Outcome } from "./exchange.ts";
import { createExchangeMeter } from "./exchange-meter.ts";
import { OpenCounts, type OpenCount } from "./open-counts.ts";
import { loggedPath } from "./path.ts";
import { loggedId } from "./request-ids.ts";

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
