// What the first process and its workers say to each other, over the channel that the system gives a child. Nothing else knows
// of it, and no key is ever in it: each worker reads the master key by itself.
import type { ListenAddress } from "../config.ts";
import type { MetricObjectWithValues, MetricValue } from "prom-client";

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
