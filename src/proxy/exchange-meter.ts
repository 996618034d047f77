// The metrics of exchanges. Counts in plain numbers and passes them to prom-client when somebody reads the metrics, since its counters build
// a key from the labels at each call. Labels have only names of ours, whatever clients and upstreams send.
import type { RefusalReason } from "../platform/errors.ts";
import type { Metrics } from "../platform/metrics.ts";
import { REFUSAL_KINDS } from "../platform/refusal-kinds.ts";
import type { Exchange, Outcome } from "./exchange.ts";

type Distribution = ReturnType<Metrics["firstByteSeconds"]["of"]>;

const OUTCOMES: Readonly<Record<Outcome, number>> = {
  completed: 0,
  refused: 1,
  client_left: 2,
  upstream_broke: 3,
  upstream_silent: 4,
  client_stalled: 5,
  cut: 6,
};
const OUTCOME_NAMES = Object.keys(OUTCOMES);
const STATUS_CLASSES = ["none", "1xx", "2xx", "3xx", "4xx", "5xx", "other"];
const KEY_REFUSALS = [401, 403, 429];
const OTHER = STATUS_CLASSES.length - 1;

/** The exchanges of one provider since the last reading. */
interface Tally {
  /** By status class and outcome. */
  readonly ended: number[];
  /** Answers of the provider by status, as KEY_REFUSALS has them. */
  readonly keyRefusals: number[];
  requestBytes: number;
  responseBytes: number;
  /** Of those that went up, once there are any. */
  times: { readonly firstByte: Distribution; readonly total: Distribution } | undefined;
}

/** Gives the function that counts an exchange that has ended. */
export function createExchangeMeter(metrics: Metrics): (exchange: Exchange) => void {
  const tallies = new Map<string, Tally>();
  const refusals = new Map<RefusalReason, number>();
  const added = metrics.addedSeconds.of("");

  const tallyOf = (provider: string): Tally => {
    let tally = tallies.get(provider);
    if (tally === undefined) {
      tally = {
        ended: new Array<number>(STATUS_CLASSES.length * OUTCOME_NAMES.length).fill(0),
        keyRefusals: KEY_REFUSALS.map(() => 0),
        requestBytes: 0,
        responseBytes: 0,
        times: undefined,
      };
      tallies.set(provider, tally);
    }
    return tally;
  };

  metrics.beforeScrape(() => {
    for (const [provider, tally] of tallies) publish(metrics, provider, tally);
    for (const [reason, count] of refusals) {
      metrics.refusals.inc({ reason, kind: REFUSAL_KINDS[reason] }, count);
    }
    refusals.clear();
  });

  return (exchange) => {
    const { outcome, reason, firstByteMs, status } = exchange;
    const provider = providerLabel(exchange);
    const tally = tallyOf(provider);
    const statusClass = status === undefined ? 0 : Math.floor(status / 100);
    const row = statusClass >= 0 && statusClass < OTHER ? statusClass : OTHER;
    const cell = row * OUTCOME_NAMES.length + OUTCOMES[outcome ?? "cut"];
    tally.ended[cell] = (tally.ended[cell] ?? 0) + 1;
    tally.requestBytes += exchange.requestBytes;
    tally.responseBytes += exchange.responseBytes;
    if (reason !== undefined) {
      refusals.set(reason, (refusals.get(reason) ?? 0) + 1);
      return;
    }
    if (!exchange.wentUp) return;
    if (statusClass === 4 && status !== undefined) {
      const place = KEY_REFUSALS.indexOf(status);
      if (place >= 0) tally.keyRefusals[place] = (tally.keyRefusals[place] ?? 0) + 1;
    }
    const times = (tally.times ??= {
      firstByte: metrics.firstByteSeconds.of(provider),
      total: metrics.exchangeSeconds.of(provider),
    });
    times.total.observe(exchange.totalMs / 1000);
    if (firstByteMs === undefined) return;
    times.firstByte.observe(firstByteMs / 1000);
    // Otherwise the client left before the answer's first byte was on its way.
    if (!exchange.isOwnTime) added.observe(exchange.ownMs / 1000);
  };
}

function providerLabel({ provider, providerIsBuiltIn }: Exchange): string {
  if (provider === undefined) return "none";
  return providerIsBuiltIn ? provider : "custom";
}

function publish(metrics: Metrics, provider: string, tally: Tally): void {
  tally.ended.forEach((count, cell) => {
    if (count === 0) return;
    const row = Math.floor(cell / OUTCOME_NAMES.length);
    const status_class = STATUS_CLASSES[row] ?? "other";
    const outcome = OUTCOME_NAMES[cell % OUTCOME_NAMES.length] ?? "";
    metrics.exchanges.inc({ provider, status_class, outcome }, count);
    tally.ended[cell] = 0;
  });
  KEY_REFUSALS.forEach((status, place) => {
    metrics.keyRefusals.inc({ provider, status: String(status) }, tally.keyRefusals[place] ?? 0);
    tally.keyRefusals[place] = 0;
  });
  metrics.requestBytes.inc({ provider }, tally.requestBytes);
  metrics.responseBytes.inc({ provider }, tally.responseBytes);
  tally.requestBytes = 0;
  tally.responseBytes = 0;
}
