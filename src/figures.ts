// Metrics about the database's content: tokens, keys, the audit. They are read in the background, so that a scrape never waits for the
// database. A metric shows their age.
import type { Clock } from "./platform/clock.ts";
import type { Pool } from "./db/index.ts";
import { SECRET_AGES } from "./platform/metric-labels.ts";
import type { Metrics } from "./platform/metrics.ts";

const NEW_FOR = "1 day";

export interface Figures {
  /** Reads them anew. If it rejects, as the pool does, they keep their values. */
  renew(): Promise<void>;
}

interface Row {
  used: number;
  unused: number;
  new: number;
  byAge: number[];
  secrets: number;
  oldestS: number;
  masterKeyS: number | null;
  auditLagS: number;
  refusedKeys: number;
}

/** `pool`: the control role's. */
export function createFigures(o: { pool: Pool; clock: Clock; metrics: Metrics }): Figures {
  const { pool, clock, metrics } = o;
  const ages = SECRET_AGES.filter((age) => age !== "+Inf").map((days) => `${days} days`);
  let renewedMs: number | undefined;

  metrics.beforeScrape(() => {
    if (renewedMs === undefined) return;
    metrics.figuresAgeSeconds.set((clock.monotonicMs() - renewedMs) / 1000);
  });

  async function ask(): Promise<void> {
    const [row] = await pool.query(
      (sql) => sql<Row[]>`
        select used_tokens as used, unused_tokens as unused, new_tokens as new, secrets_by_age as "byAge", secrets,
          oldest_secret_s as "oldestS", master_key_s as "masterKeyS", audit_lag_s as "auditLagS",
          x3sproxy.count_refused_keys() as "refusedKeys"
        from x3sproxy.figures(${NEW_FOR}::interval, ${ages}::text[]::interval[])`,
    );
    if (row === undefined) throw new Error("figures gave no row");
    show(metrics, row);
    renewedMs = clock.monotonicMs();
  }

  async function renew(): Promise<void> {
    try {
      await ask();
      metrics.databaseUp.set(1);
    } catch (error) {
      metrics.databaseUp.set(0);
      throw error;
    }
  }

  return { renew };
}

function show(metrics: Metrics, row: Row): void {
  const { used, unused } = row;
  const all = used + unused + row.new;
  metrics.tokens.set({ use: "used" }, used);
  metrics.tokens.set({ use: "unused" }, unused);
  metrics.tokens.set({ use: "new" }, row.new);
  metrics.unusedTokenRatio.set(all === 0 ? 0 : unused / all);
  const counts = [...row.byAge, row.secrets];
  SECRET_AGES.forEach((max_age_days, i) => {
    metrics.activeSecrets.set({ max_age_days }, counts[i] ?? 0);
  });
  metrics.oldestSecretSeconds.set(row.oldestS);
  metrics.auditLagSeconds.set(row.auditLagS);
  metrics.refusedKeys.set(row.refusedKeys);
  if (row.masterKeyS !== null) metrics.masterKeySeconds.set(row.masterKeyS);
}
