// The log: JSON lines with allow-listed fields. Callers pass only fields of LogFields, so that nothing that nobody
// thought of (a header, a URL with a query, an error's message from a library) can reach it.
import { pino, type DestinationStream } from "pino";

/** Every field that a log line may have. None of them may ever hold a credential, a body or a query string. */
export interface LogFields {
  exchangeId?: string;
  workspaceId?: string;
  agentId?: string;
  agent?: string;
  deployment?: number;
  provider?: string;
  secretId?: string;
  secretVersion?: number;
  method?: string;
  path?: string;
  status?: number;
  outcome?: string;
  reason?: string;
  requestBytes?: number;
  responseBytes?: number;
  firstByteMs?: number;
  totalMs?: number;
  websocket?: boolean;
  upstreamRequestId?: string;
  remoteAddress?: string;
  apiKeyId?: string;
  route?: string;
  errorId?: string;
  errorName?: string;
  errorCode?: string;
  address?: string;
  count?: number;
  durationMs?: number;
  signal?: string;
}

export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

/** Makes a log that writes one JSON object a line to `destination` (standard output by default). */
export function createLog(options: { level: string; destination?: DestinationStream }): Log {
  const sink = pino(
    { level: options.level, base: null, timestamp: () => `,"time":"${new Date().toISOString()}"` },
    options.destination ?? pino.destination({ dest: 1, sync: false }),
  );
  return {
    debug: (message, fields = {}) => sink.debug(fields, message),
    info: (message, fields = {}) => sink.info(fields, message),
    warn: (message, fields = {}) => sink.warn(fields, message),
    error: (message, fields = {}) => sink.error(fields, message),
  };
}

/** The name and code of an unknown error: all of it that may be logged, since messages of libraries can quote input. */
export function errorFields(error: unknown): { errorName: string; errorCode?: string } {
  if (!(error instanceof Error)) return { errorName: typeof error };
  const code = (error as { code?: unknown }).code;
  return typeof code === "string"
    ? { errorName: error.name, errorCode: code }
    : { errorName: error.name };
}
