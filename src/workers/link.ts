// A worker's side: it does what the first process says, answers what that asks, and ends when that is gone.
import cluster from "node:cluster";
import type { Figures, FromWorker, Task, ToWorker, WorkerUrls } from "./messages.ts";

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
