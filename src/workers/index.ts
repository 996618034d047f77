// Several processes on one machine: workers that serve, and a first process that starts and supervises them.
export { openLink, type WorkerAnswers, type WorkerLink } from "./link.ts";
export type { Figures, Task, WorkerUrls } from "./link.ts";
export { createSupervisor, type Supervisor } from "./supervisor.ts";
export { createPrimaryMetrics } from "./sums.ts";
