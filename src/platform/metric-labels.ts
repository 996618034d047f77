// The fixed sets of label values. Counters exist from the start, as 0: Prometheus sees no increase if a series appears with its first count.
import { Counter, Gauge, type Registry } from "prom-client";

/** The database's connection pools, by purpose. */
export type PoolName = "proxy" | "control" | "activity" | "notifications";
/** What is done in the background (jobs.ts). */
export const JOB_NAMES = [
  ...(["activity_pruning", "audit_pruning", "audit_sealing", "certificate"] as const),
  ...(["checkpoint_sending", "figures", "key_rotation", "token_ends", "unused_tokens"] as const),
] as const;
export type JobName = (typeof JOB_NAMES)[number];
export const EVICTION_REASONS = ["change", "expiry", "room"] as const;
export const SIGN_IN_METHODS = ["password", "link"];
export const SIGN_IN_RESULTS = ["succeeded", "refused", "code_needed", "limited"] as const;
export type SignInResult = (typeof SIGN_IN_RESULTS)[number];
export const PROOF_RESULTS = ["succeeded", "refused", "limited"];
export const API_KEY_REFUSALS = ["unknown", "address", "limited"] as const;
export type ApiKeyRefusal = (typeof API_KEY_REFUSALS)[number];
/** The age groups of keys: the upper bound in days. */
export const SECRET_AGES = ["30", "60", "90", "180", "365", "+Inf"] as const;

export type ListenerName = "proxy" | "admin" | "metrics";

/** The counters of connections in each listening process. Their label values exist once there is a listener. */
export function createConnectionMetrics(registry: Registry) {
  const registers = [registry];
  return {
    connections: new Gauge({
      name: "x3sproxy_connections",
      help: "Connections that a listener has open.",
      labelNames: ["listener"] as const,
      registers,
    }),
    connectionsMax: new Gauge({
      name: "x3sproxy_connections_max",
      help: "Connections that a listener takes at most.",
      labelNames: ["listener"] as const,
      registers,
    }),
    connectionsRefused: new Counter({
      name: "x3sproxy_connections_refused_total",
      help: "Connections closed as they came: the listener was full, or their source had its share of it.",
      labelNames: ["listener", "reason"] as const,
      registers,
    }),
    openFilesExhausted: new Counter({
      name: "x3sproxy_open_files_exhausted_total",
      help: "Looks, one a second, that found no file descriptor left.",
      registers,
    }),
  };
}

export type ConnectionMetrics = ReturnType<typeof createConnectionMetrics>;
