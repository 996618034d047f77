// A worker's side: it does what the first process says, answers what that asks, and ends when that is gone.
import cluster from "node:cluster";
import type { MetricObjectWithValues, MetricValue } from "prom-client";
import type { ListenAddress } from "../platform/config.ts";

/** What a worker is asked for. */
export interface WorkerAnswers {
  isReady(): Promise<boolean>;
  figures(): Promise<Figures>;
}

export interface WorkerLink {
  /** Resolves with what this worker is to do. */
  readonly begun: Promise<Task & { readonly number: number }>;
  /** Resolves when it is to drain and end. */
  readonly asked: Promise<void>;
  /** From now on it serves. `gone` is called when the first process has ended, just before this one ends too. */
  serve(urls: WorkerUrls, answers: WorkerAnswers, gone: () => void): void;
  /** Says why it can't start; resolves when that is on its way. */
  fail(code: string, description: string): Promise<void>;
}

/** The link to the first process. When that ends, however it does, Node ends a worker at once. */
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
        answer(message.id, message.what).catch(() => undefined); // no answer is one, too
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

// What the first process and its workers say to each other, over the channel that the system gives a child. Nothing else knows
// of it, and no key is ever in it: each worker reads the master key by itself.

/** All metrics of one process, each with how it is added up over processes. */
export type Figures = readonly MetricObjectWithValues<MetricValue<string>>[];

/** Where all workers listen. */
export interface WorkerUrls {
  readonly proxyUrl: string;
  readonly adminUrl: string;
}

/** What the first process has found out for its workers. */
export interface Task {
  readonly ownerUrl: string;
  /** Of home. */
  readonly workspaceId: string;
  readonly proxyAddress: ListenAddress;
  readonly adminAddress: ListenAddress;
}

export type ToWorker =
  /** The first message. `number` counts from 1 and is passed on to whoever replaces this worker. */
  | ({ readonly kind: "begin"; readonly number: number } & Task)
  | { readonly kind: "ask"; readonly id: number; readonly what: "ready" | "figures" }
  /** Drain, and end. */
  | { readonly kind: "stop" };

export type FromWorker =
  /** It listens for messages from now on. */
  | { readonly kind: "hello" }
  | { readonly kind: "listening"; readonly urls: WorkerUrls }
  /** It could not start; the description is for people. */
  | { readonly kind: "failed"; readonly code: string; readonly description: string }
  | { readonly kind: "ready"; readonly id: number; readonly ready: boolean }
  | { readonly kind: "figures"; readonly id: number; readonly figures: Figures };
