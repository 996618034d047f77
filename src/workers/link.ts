// The worker's side of the channel: it obeys the first process, answers its questions, and ends when that process is gone.
import cluster from "node:cluster";
import type { MetricObjectWithValues, MetricValue } from "prom-client";
import type { ListenAddress } from "../platform/config.ts";

/** The questions to a worker. */
export interface WorkerAnswers {
  isReady(): Promise<boolean>;
  figures(): Promise<Figures>;
}

export interface WorkerLink {
  /** Resolves to this worker's task. */
  readonly begun: Promise<Task & { readonly number: number }>;
  /** Resolves when the worker has to drain and end. */
  readonly asked: Promise<void>;
  /** From now on it serves. `gone` is called when the first process has ended, just before this process ends, too. */
  serve(urls: WorkerUrls, answers: WorkerAnswers, gone: () => void): void;
  /** Tells the first process why it can't start. Resolves once that is sent. */
  fail(code: string, description: string): Promise<void>;
}

/** The channel to the first process. When that process ends, for whatever reason, Node ends a worker at once. */
export function openLink(): WorkerLink {
  const begun = Promise.withResolvers<Task & { number: number }>();
  const asked = Promise.withResolvers<undefined>();
  let answers: WorkerAnswers | undefined;
  const answer = async (id: number, what: "ready" | "figures"): Promise<void> => {
    if (answers === undefined) return;
    if (what === "ready") say({ kind: "ready", id, ready: await answers.isReady() });
    else say({ kind: "figures", id, figures: await answers.figures() });
  };
  process.on("message", (message: ToWorker) => {
    switch (message.kind) {
      case "begin":
        begun.resolve(message);
        break;
      case "ask":
        answer(message.id, message.what).catch(() => undefined); // the first process notices a missing answer
        break;
      case "stop":
        asked.resolve(undefined);
    }
  });
  say({ kind: "hello" });
  return {
    begun: begun.promise,
    asked: asked.promise,
    serve(urls, given, gone) {
      answers = given;
      cluster.worker?.once("disconnect", gone);
      say({ kind: "listening", urls });
    },
    fail: (code, description) =>
      new Promise((resolve) => {
        process.send?.({ kind: "failed", code, description }, undefined, undefined, () =>
          resolve(),
        );
      }),
  };
}

function say(message: FromWorker): void {
  process.send?.(message, undefined, undefined, () => undefined);
}

// The messages between the first process and its workers, over the IPC channel of a child process. Only these processes can use it. No
// message may hold a key: each worker reads the master key by itself.

/** All metrics of one process, each with its way of being combined. */
export type Figures = readonly MetricObjectWithValues<MetricValue<string>>[];

/** The addresses of all workers. */
export interface WorkerUrls {
  readonly proxyUrl: string;
  readonly adminUrl: string;
}

/** What the first process prepared for its workers. */
export interface Task {
  readonly ownerUrl: string;
  /** The id of the home workspace. */
  readonly workspaceId: string;
  readonly proxyAddress: ListenAddress;
  readonly adminAddress: ListenAddress;
}

export type ToWorker =
  /** The first message. `number` counts from 1; a worker's replacement gets the same number. */
  | ({ readonly kind: "begin"; readonly number: number } & Task)
  | { readonly kind: "ask"; readonly id: number; readonly what: "ready" | "figures" }
  /** The worker has to drain and end. */
  | { readonly kind: "stop" };

export type FromWorker =
  /** The worker listens for messages from now on. */
  | { readonly kind: "hello" }
  | { readonly kind: "listening"; readonly urls: WorkerUrls }
  /** The worker could not start. The description is for people. */
  | { readonly kind: "failed"; readonly code: string; readonly description: string }
  | { readonly kind: "ready"; readonly id: number; readonly ready: boolean }
  | { readonly kind: "figures"; readonly id: number; readonly figures: Figures };
