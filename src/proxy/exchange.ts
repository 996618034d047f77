// The record of one request and its answer: allow-listed fields, emitted once when it ends. Log line and metrics both
// read it here and nowhere else. Never holds a header, a query, a body or an error's message.
import { randomBytes } from "node:crypto";
import type { Clock } from "../clock.ts";
import type { RefusalReason } from "../errors.ts";
import type { Log, LogFields } from "../log.ts";
import type { Metrics } from "../metrics.ts";
import { loggedPath } from "./path.ts";

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
  provider: string | undefined;
  /** Whether `provider` is one of the built-in names, and so may be a label. */
  providerIsBuiltIn = false;
  /** Raw, and only of a path that has a canonical form. */
  path: string | undefined;
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
  requestBytes = 0;
  responseBytes = 0;
  ended = false;

  constructor(id: string, method: string, startMs: number) {
    this.id = id;
    this.method = method;
    this.startMs = startMs;
  }
}

export interface Exchanges {
  begin(method: string): Exchange;
  /** Notes the time to the first byte of the answer. */
  firstByte(exchange: Exchange): void;
  /** Emits the record. Later calls for the same exchange do nothing. */
  end(exchange: Exchange, outcome: Outcome, reason?: RefusalReason): void;
  /** How many have begun and not ended. */
  readonly open: number;
}

/** Makes the recorder of exchanges; its ids are unique to this process and those before it. */
export function createExchanges(o: { clock: Clock; log: Log; metrics: Metrics }): Exchanges {
  const prefix = randomBytes(6).toString("hex");
  let count = 0;
  let open = 0;
  return {
    get open() {
      return open;
    },
    begin(method) {
      open++;
      o.metrics.openExchanges.inc();
      return new Exchange(`${prefix}-${(++count).toString(36)}`, method, o.clock.monotonicMs());
    },
    firstByte(exchange) {
      exchange.firstByteMs ??= o.clock.monotonicMs() - exchange.startMs;
    },
    end(exchange, outcome, reason) {
      if (exchange.ended) return;
      exchange.ended = true;
      open--;
      o.metrics.openExchanges.dec();
      const provider = exchange.providerIsBuiltIn ? (exchange.provider ?? "none") : "custom";
      const label = exchange.provider === undefined ? "none" : provider;
      const status = exchange.status;
      o.metrics.exchanges.inc({
        provider: label,
        status_class: status === undefined ? "none" : `${Math.floor(status / 100)}xx`,
        outcome,
      });
      if (reason !== undefined) o.metrics.refusals.inc({ reason });
      if (exchange.firstByteMs !== undefined && reason === undefined) {
        o.metrics.firstByteSeconds.observe({ provider: label }, exchange.firstByteMs / 1000);
      }
      o.log.info("exchange", fields(exchange, outcome, reason, o.clock.monotonicMs()));
    },
  };
}

function fields(
  exchange: Exchange,
  outcome: Outcome,
  reason: RefusalReason | undefined,
  nowMs: number,
): LogFields {
  const line: LogFields = {
    exchangeId: exchange.id,
    method: exchange.method,
    outcome,
    requestBytes: exchange.requestBytes,
    responseBytes: exchange.responseBytes,
    totalMs: rounded(nowMs - exchange.startMs),
  };
  if (reason !== undefined) line.reason = reason;
  if (exchange.provider !== undefined) line.provider = exchange.provider;
  if (exchange.path !== undefined) line.path = loggedPath(exchange.path);
  if (exchange.workspaceId !== undefined) line.workspaceId = exchange.workspaceId;
  if (exchange.agentId !== undefined) line.agentId = exchange.agentId;
  if (exchange.agent !== undefined) line.agent = exchange.agent;
  if (exchange.deployment !== undefined) line.deployment = exchange.deployment;
  if (exchange.secretId !== undefined) line.secretId = exchange.secretId;
  if (exchange.secretVersion !== undefined) line.secretVersion = exchange.secretVersion;
  if (exchange.status !== undefined) line.status = exchange.status;
  if (exchange.firstByteMs !== undefined) line.firstByteMs = rounded(exchange.firstByteMs);
  if (exchange.websocket) line.websocket = true;
  if (exchange.errorCode !== undefined) line.errorCode = exchange.errorCode;
  return line;
}

function rounded(ms: number): number {
  return Math.round(ms * 100) / 100;
}
