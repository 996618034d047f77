// The destination of log lines: standard output, standard error or a file. While the reader is slow, lines wait in a bounded buffer; further
// lines are dropped and counted. Must never block the service, throw, or keep the process alive.
import fs from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { systemClock } from "./clock.ts";
import { ConfigError } from "./errors.ts";
import { codeOf } from "./unknown-values.ts";

/** What takes the lines of a log. */
export interface LogDestination {
  /** Takes one whole line. */
  write(line: string): unknown;
  /** Resolves when the system has every line so far, or no line was taken for a second. */
  flush?(): Promise<void>;
  /** How many lines were dropped so far. */
  droppedLines?(): number;
  /** Once lines are taken again, `tell` is called with the number of lines that were dropped. */
  onDropped?(tell: (count: number) => void): void;
}

/** `stdout`, `stderr`, or the path of a file. */
export type LogTarget = string;

/** Whole lines that wait to be written. */
interface Portion {
  readonly bytes: Buffer;
  readonly lines: number;
  /** How many of its bytes are written. */
  offset: number;
}

const BATCH_MS = 50;
// Each batch costs a system call or wakes a thread, so small ones cost more than their lines.
const BATCH_CHARACTERS = 60 * 1024;
const MAX_WAITING_BYTES = 16 * 1024 * 1024;
const STALLED_MS = 1000;
const FLUSH_WITHIN_MS = 5000;
// The waits between tries: for a slow reader, and for a full disk.
const SHORTEST_RETRY_MS = 10;
const LONGEST_RETRY_MS = 200;
const FAILED_RETRY_MS = 1000;
// How often to check that the file is still at its path.
const MOVED_CHECK_MS = 1000;
// PIPE_BUF: a pipe takes as many bytes at once, so that lines of several processes don't mix.
const PIPE_ATOM_BYTES = 4096;
// The most to write in one turn of the event loop.
const TURN_BYTES = 256 * 1024;

const FLAGS =
  fs.constants.O_WRONLY | fs.constants.O_APPEND | fs.constants.O_CREAT | fs.constants.O_NONBLOCK;
const FILE_MODE = 0o600;

const writeAsync = promisify(fs.write);
const openAsync = promisify(fs.open);
const statAsync = promisify(fs.stat);
const closeAsync = promisify(fs.close);

/** Opens the target. A file is created with mode 0600 if it doesn't exist, and appended to. Throws ConfigError if it can't be opened. */
export function openLogOutput(target: LogTarget): LogDestination {
  if (target === "stdout") return new LogOutput(process.stdout.fd, undefined);
  if (target === "stderr") return new LogOutput(process.stderr.fd, undefined);
  try {
    return new LogOutput(fs.openSync(target, FLAGS, FILE_MODE), target);
  } catch (error) {
    const code = codeOf(error) ?? "unknown";
    throw new ConfigError(`X3SPROXY_LOG_FILE: the file can't be opened for writing (${code})`);
  }
}

class LogOutput implements LogDestination {
  readonly #path: string | undefined;
  #fd: number;
  #isPipe = false;
  /** Whether a write fails instead of waiting (EAGAIN). Node makes pipes and sockets of its standard streams non-blocking. */
  #isNonBlocking = false;
  #batch = "";
  #batchLines = 0;
  #batchTimer: NodeJS.Timeout | undefined;
  #waiting: Portion[] = [];
  #waitingBytes = 0;
  /** A write is under way, or the next one is scheduled. */
  #isBusy = false;
  #isWriting = false;
  #isClosed = false;
  #retryMs = SHORTEST_RETRY_MS;
  #progressMs = 0;
  #checkedMs = systemClock.monotonicMs();
  #dropped = 0;
  #told = 0;
  #tell: (count: number) => void = () => undefined;

  constructor(fd: number, path: string | undefined) {
    this.#fd = fd;
    this.#path = path;
    this.#learnKind();
    process.once("exit", () => this.#atExit());
  }

  write(line: string): void {
    this.#batch += line;
    this.#batchLines++;
    if (this.#batch.length >= BATCH_CHARACTERS) this.#endBatch();
    else this.#batchTimer ??= setTimeout(() => this.#endBatch(), BATCH_MS).unref();
  }

  droppedLines(): number {
    return this.#dropped;
  }

  onDropped(tell: (count: number) => void): void {
    this.#tell = tell;
  }

  async flush(): Promise<void> {
    this.#endBatch();
    const startMs = systemClock.monotonicMs();
    while (this.#waiting.length > 0 && !this.#isStalled()) {
      await delay(SHORTEST_RETRY_MS);
      if (systemClock.monotonicMs() - startMs > FLUSH_WITHIN_MS) return;
    }
  }

  #endBatch(): void {
    clearTimeout(this.#batchTimer);
    this.#batchTimer = undefined;
    const [text, lines] = [this.#batch, this.#batchLines];
    this.#batch = "";
    this.#batchLines = 0;
    if (lines === 0) return;
    if (this.#isClosed || this.#waitingBytes + text.length > MAX_WAITING_BYTES) {
      this.#dropped += lines;
      return;
    }
    const bytes = Buffer.from(text);
    if (this.#waiting.length === 0) this.#progressMs = systemClock.monotonicMs();
    this.#waiting.push({ bytes, lines, offset: 0 });
    this.#waitingBytes += bytes.length;
    this.#pump();
  }

  #pump(): void {
    if (this.#isBusy) return;
    if (!this.#isNonBlocking) {
      const [first] = this.#waiting;
      if (first !== undefined) {
        this.#writeInBackground(first).catch((error: unknown) => this.#failed(error));
      }
    } else {
      try {
        for (let written = 0; written < TURN_BYTES;) {
          const [first] = this.#waiting;
          if (first === undefined) break;
          written += this.#writeNow(first);
        }
        if (this.#waiting.length > 0) this.#tryAgain(0);
      } catch (error) {
        this.#failed(error);
      }
    }
    if (this.#waiting.length === 0) this.#restored();
  }

  #writeNow(portion: Portion): number {
    const { bytes, offset } = portion;
    const written = fs.writeSync(this.#fd, bytes, offset, this.#atomLength(portion));
    this.#wrote(portion, written);
    return written;
  }

  async #writeInBackground(portion: Portion): Promise<void> {
    this.#isBusy = true;
    try {
      await this.#followFile();
      this.#isWriting = true;
      const { bytes, offset } = portion;
      const { bytesWritten } = await writeAsync(this.#fd, bytes, offset, bytes.length - offset);
      this.#wrote(portion, bytesWritten);
      this.#isBusy = false;
      this.#isWriting = false;
      this.#pump();
    } catch (error) {
      this.#isWriting = false;
      this.#failed(error);
    }
  }

  /** The waiting bytes that have to be written together. */
  #atomLength({ bytes, offset }: Portion): number {
    const left = bytes.length - offset;
    if (!this.#isPipe || left <= PIPE_ATOM_BYTES) return left;
    const last = bytes.lastIndexOf("\n", offset + PIPE_ATOM_BYTES - 1);
    return (last >= offset ? last : bytes.indexOf("\n", offset)) + 1 - offset;
  }

  #wrote(portion: Portion, bytes: number): void {
    if (bytes === 0) return;
    this.#progressMs = systemClock.monotonicMs();
    this.#retryMs = SHORTEST_RETRY_MS;
    portion.offset += bytes;
    this.#waitingBytes -= bytes;
    if (portion.offset === portion.bytes.length) this.#waiting.shift();
  }

  #failed(error: unknown): void {
    const code = codeOf(error) ?? "unknown";
    if (code === "EAGAIN" || code === "EBUSY") {
      this.#tryAgain(this.#retryMs);
      this.#retryMs = Math.min(this.#retryMs * 2, LONGEST_RETRY_MS);
    } else if (this.#path === undefined && (code === "EPIPE" || code === "EIO")) {
      this.#isClosed = true; // the reader is gone for good
      for (const { lines } of this.#waiting.splice(0)) this.#dropped += lines;
      this.#waitingBytes = 0;
    } else {
      this.#checkedMs = 0;
      this.#tryAgain(FAILED_RETRY_MS);
    }
  }

  #tryAgain(afterMs: number): void {
    this.#isBusy = true;
    setTimeout(() => {
      this.#isBusy = false;
      this.#pump();
    }, afterMs).unref();
  }

  /** The buffer is empty. */
  #restored(): void {
    const count = this.#dropped - this.#told;
    if (count === 0 || this.#isClosed) return;
    this.#told = this.#dropped;
    this.#tell(count);
  }

  #isStalled(): boolean {
    return systemClock.monotonicMs() - this.#progressMs > STALLED_MS;
  }

  /** Opens the path again if its file has been moved or deleted. Rejects if it can't be opened. */
  async #followFile(): Promise<void> {
    const path = this.#path;
    const nowMs = systemClock.monotonicMs();
    if (path === undefined || nowMs - this.#checkedMs < MOVED_CHECK_MS) return;
    this.#checkedMs = nowMs;
    const there = await statAsync(path, { bigint: true }).catch(() => undefined);
    const ours = fs.fstatSync(this.#fd, { bigint: true });
    if (there?.ino === ours.ino && there.dev === ours.dev) return;
    const before = this.#fd;
    this.#fd = await openAsync(path, FLAGS, FILE_MODE);
    await closeAsync(before).catch(() => undefined);
    this.#learnKind();
    const [first] = this.#waiting;
    if (first !== undefined) {
      // The previous file has only a part of this line.
      const whole = first.offset === 0 ? 0 : first.bytes.lastIndexOf("\n", first.offset - 1) + 1;
      this.#waitingBytes += first.offset - whole;
      first.offset = whole;
    }
  }

  #learnKind(): void {
    const stat = fs.fstatSync(this.#fd);
    this.#isPipe = stat.isFIFO();
    this.#isNonBlocking = stat.isFIFO() || stat.isSocket();
  }

  /** At exit: writes the rest, as long as it is taken. It may overtake a write that is under way in a thread. */
  #atExit(): void {
    const [inThread] = this.#isWriting ? this.#waiting.splice(0, 1) : [];
    if (inThread !== undefined) this.#waitingBytes -= inThread.bytes.length - inThread.offset;
    this.#isBusy = true;
    this.#endBatch();
    while (!this.#isClosed) {
      if (this.#waiting.length === 0) {
        this.#restored();
        this.#endBatch();
      }
      const [first] = this.#waiting;
      if (first === undefined) return;
      try {
        this.#writeNow(first);
      } catch (error) {
        if (codeOf(error) !== "EAGAIN" || this.#isStalled()) return;
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, SHORTEST_RETRY_MS);
      }
    }
  }
}
