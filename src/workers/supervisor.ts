// The first process's side: keeps a number of workers running, each a process that listens by itself, and replaces a worker that ends. The
// others go on meanwhile. It serves nothing itself, so that little can end it.
import cluster, { type Worker } from "node:cluster";
import { once } from "node:events";
import type { Clock } from "../platform/clock.ts";
import { WorkerFailure } from "../platform/errors.ts";
import { logEnd, type Log } from "../platform/log.ts";
import type { FromWorker, Task, ToWorker, WorkerUrls } from "./link.ts";
import { type PrimaryMetrics, createSums } from "./sums.ts";

const FIRST_BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 10_000;
// A worker that lived this long had a good start: replace it without delay.
const STEADY_MS = 60_000;
const ANSWER_WITHIN_MS = 2500;
// A worker that leaves so many questions in a row unanswered is stuck, and so are the connections that the system gives to it.
const WATCH_EVERY_MS = 10_000;
const MAX_SILENCES = 3;

export interface Supervisor {
  /** Starts all workers. Resolves when all listen. Rejects with WorkerFailure if one ends before that. */
  start(task: Task): Promise<WorkerUrls>;
  /** Whether at least half of them are ready. */
  isReady(): Promise<boolean>;
  /** The combined metrics of all, as Prometheus text. */
  metricsText(): Promise<string>;
  /** Tells all workers to drain and end. After `withinMs` kills those that remain. */
  stop(withinMs: number): Promise<void>;
}

interface Seat {
  readonly number: number;
  worker: Worker | undefined;
  listening: boolean;
  startedMs: number;
  /** How often in a row it ended soon after its start. */
  failures: number;
  /** How many questions in a row it did not answer. */
  silences: number;
  timer: NodeJS.Timeout | undefined;
}

export function createSupervisor(o: {
  readonly count: number;
  /** Takes complete lines of a worker's log. */
  readonly relay: (lines: string) => void;
  /** Tells people why a worker could not be started again. */
  readonly complain: (description: string) => void;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: PrimaryMetrics;
}): Supervisor {
  const { clock, log, metrics } = o;
  const seats = Array.from({ length: o.count }, (_, index): Seat => {
    return {
      ...{ number: index + 1, worker: undefined, listening: false },
      ...{ startedMs: 0, failures: 0, silences: 0, timer: undefined },
    };
  });
  const sums = createSums();
  const questions = new Map<number, { of: Worker; answer: (answer?: FromWorker) => void }>();
  const alive = new Set<Worker>();
  let lastQuestion = 0;
  let stopping = false;
  let onListening: (urls: WorkerUrls) => void = () => undefined;
  let onFailure: ((failure: WorkerFailure) => void) | undefined;

  function fork(seat: Seat, task: Task): void {
    const worker = cluster.fork();
    seat.worker = worker;
    seat.listening = false;
    seat.silences = 0;
    seat.startedMs = clock.monotonicMs();
    alive.add(worker);
    let failure: WorkerFailure | undefined;
    worker.on("message", (message: FromWorker) => {
      switch (message.kind) {
        case "hello":
          tell(worker, { kind: "begin", number: seat.number, ...task });
          break;
        case "listening":
          seat.listening = true;
          countListening();
          onListening(message.urls);
          break;
        case "failed":
          failure = new WorkerFailure(message.code, message.description);
          break;
        case "ready":
        case "figures":
          questions.get(message.id)?.answer(message);
      }
    });
    worker.on("error", () => undefined); // a message could not be sent: the worker has ended, or is ending
    relayLines(worker, o.relay);
    // `close`, not `exit`: by then all of its output has been read.
    worker.process.once("close", (code: number | null, signal: NodeJS.Signals | null) => {
      alive.delete(worker);
      for (const question of questions.values()) if (question.of === worker) question.answer();
      sums.end(worker.id);
      seat.worker = undefined;
      seat.listening = false;
      countListening();
      if (!stopping) replace(seat, task, { code, signal, failure });
    });
  }

  function replace(
    seat: Seat,
    task: Task,
    {
      code,
      signal,
      failure,
    }: {
      code: number | null;
      signal: NodeJS.Signals | null;
      failure: WorkerFailure | undefined;
    },
  ): void {
    const how = { worker: seat.number, ...(signal === null ? { status: code ?? 0 } : { signal }) };
    if (onFailure !== undefined) {
      onFailure(failure ?? new WorkerFailure("failed", "A worker ended while it was starting."));
      return;
    }
    if (clock.monotonicMs() - seat.startedMs >= STEADY_MS) seat.failures = 0;
    const backoffMs = Math.min(FIRST_BACKOFF_MS * 2 ** seat.failures++, MAX_BACKOFF_MS);
    log.error("a worker ended by itself and is started again", { ...how, durationMs: backoffMs });
    if (failure !== undefined) o.complain(failure.message);
    metrics.restarts.inc();
    seat.timer = setTimeout(() => fork(seat, task), backoffMs);
  }

  const countListening = (): void =>
    metrics.workers.set(seats.filter(({ listening }) => listening).length);

  /** Asks all listening workers at the same time. Resolves to the answers that came in time. */
  async function ask(what: "ready" | "figures"): Promise<{ from: Worker; answer: FromWorker }[]> {
    const asked = seats.flatMap(({ worker, listening }) =>
      worker !== undefined && listening ? [worker] : [],
    );
    const answers = await Promise.all(
      asked.map(async (from) => {
        const id = ++lastQuestion;
        const { promise, resolve } = Promise.withResolvers<FromWorker | undefined>();
        questions.set(id, { of: from, answer: resolve });
        const late = setTimeout(() => resolve(undefined), ANSWER_WITHIN_MS);
        tell(from, { kind: "ask", id, what });
        const answer = await promise;
        clearTimeout(late);
        questions.delete(id);
        return answer === undefined ? [] : [{ from, answer }];
      }),
    );
    return answers.flat();
  }

  async function watch(): Promise<void> {
    const asked = seats.filter(({ listening }) => listening);
    const answered = new Set((await ask("ready")).map(({ from }) => from));
    for (const seat of asked) {
      if (seat.worker === undefined || !seat.listening) continue;
      seat.silences = answered.has(seat.worker) ? 0 : seat.silences + 1;
      if (seat.silences < MAX_SILENCES) continue;
      log.error("a worker answers nothing and is killed", { worker: seat.number });
      seat.worker.process.kill("SIGKILL");
    }
  }

  let watching: NodeJS.Timeout | undefined;
  return {
    async start(task) {
      // Not through this process: a connection that it passed to a worker would stay open here if the worker died before taking it.
      cluster.schedulingPolicy = cluster.SCHED_NONE;
      cluster.setupPrimary({
        stdio: ["ignore", "pipe", "inherit", "ipc"],
        serialization: "advanced",
      });
      const { promise: failed, reject } = Promise.withResolvers<never>();
      onFailure = reject;
      const listening = new Promise<WorkerUrls>((resolve) => {
        onListening = (urls) => {
          if (seats.every((seat) => seat.listening)) resolve(urls);
        };
      });
      for (const seat of seats) fork(seat, task);
      const urls = await Promise.race([listening, failed]);
      onFailure = undefined;
      watching = setInterval(() => {
        logEnd(watch(), log, "the workers can't be watched");
      }, WATCH_EVERY_MS);
      return urls;
    },
    async isReady() {
      const answers = await ask("ready");
      const ready = answers.filter(({ answer }) => answer.kind === "ready" && answer.ready);
      return ready.length * 2 >= o.count;
    },
    async metricsText() {
      const [answers, own] = await Promise.all([ask("figures"), metrics.figures()]);
      const current = new Set<number>();
      for (const { from, answer } of answers) {
        // If it has ended since, its counters are already kept.
        if (answer.kind !== "figures" || !alive.has(from)) continue;
        sums.take(from.id, answer.figures);
        current.add(from.id);
      }
      return sums.text(own, current);
    },
    async stop(withinMs) {
      stopping = true;
      clearInterval(watching);
      onFailure = undefined;
      for (const { timer } of seats) clearTimeout(timer);
      const ended = [...alive].map((worker) => once(worker.process, "close"));
      for (const worker of alive) tell(worker, { kind: "stop" });
      const late = setTimeout(() => {
        log.error("workers did not end in time and are killed", { count: alive.size });
        for (const worker of alive) worker.process.kill("SIGKILL");
      }, withinMs);
      await Promise.all(ended);
      clearTimeout(late);
    },
  };
}

function tell(worker: Worker, message: ToWorker): void {
  if (worker.isConnected()) worker.send(message, () => undefined);
}

/** Passes on only complete lines, since several workers write to the same place. */
function relayLines(worker: Worker, relay: (lines: string) => void): void {
  let rest = "";
  worker.process.stdout?.setEncoding("utf8").on("data", (text: string) => {
    const end = text.lastIndexOf("\n") + 1;
    if (end > 0) {
      relay(rest + text.slice(0, end));
      rest = "";
    }
    rest += text.slice(end);
  });
}
