// The record of one request and its answer, emitted once after it ends. The log line, metrics and activity all read it, and nothing
// else. Its fields are an allow-list: no query, body or error message, and of the headers only the context and ids of the request.
import type { Admission } from "../limits/index.ts";
import type { RefusalReason } from "../platform/errors.ts";
import { isForEverybody } from "../providers/index.ts";
import type { OpenCount } from "./open-counts.ts";
import type { CallContextFields } from "./context.ts";
import { recordedPath } from "./path.ts";

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
