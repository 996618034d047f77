// Checks a deployment before it is exposed: its settings, files, database, network, and the running service. Must never change anything,
// or send or print a key.
import type { Clock } from "../platform/clock.ts";
import type { Config } from "../platform/config.ts";
import { checkDataFolder } from "./data-folder.ts";
import { checkDatabase } from "./database.ts";
import { checkFiles } from "./files.ts";
import { Findings, type Finding, type Skipped } from "./finding.ts";
import { checkFront } from "./front.ts";
import { checkMachine } from "./machine.ts";
import { checkReadiness } from "./readiness.ts";
import { checkRedis } from "./redis.ts";
import { checkSettings } from "./settings.ts";
import { checkCertificate, checkListeners } from "./tls.ts";
import { checkForwardProxy, checkUpstreams } from "./upstreams.ts";

export type { Finding, Group, Severity, Skipped } from "./finding.ts";

export interface Examination {
  readonly findings: readonly Finding[];
  readonly skipped: readonly Skipped[];
}

const DATABASE_WITHIN_MS = 15_000;

/**
 * `offline`: skip the providers. `databaseWithinMs`: how long all queries together may take. Never rejects because of a finding.
 */
export async function examine(
  config: Config,
  o: { clock: Clock; offline: boolean; databaseWithinMs?: number },
): Promise<Examination> {
  const findings = new Findings();
  const nowMs = (): number => o.clock.nowMs();
  checkSettings(config, findings);
  await checkCertificate(config, findings, nowMs());
  await checkListeners(config, findings);
  await checkFront(config, findings);
  await checkFiles(config, findings);
  await checkDataFolder(config, findings);
  await checkMachine(findings);
  const withinMs = o.databaseWithinMs ?? DATABASE_WITHIN_MS;
  const { offline } = o;
  const origins = await checkDatabase(config, findings, { nowMs, withinMs, offline });
  await checkReadiness(config, findings);
  await checkRedis(config, findings);
  const proxy = checkForwardProxy(config, findings);
  if (offline) findings.skip("providers", "--offline");
  else if (origins === undefined) findings.skip("providers", "which there are is in the database");
  else if (proxy === false) findings.skip("providers", "HTTPS_PROXY leads nowhere");
  else await checkUpstreams(config, { origins, proxy }, findings, nowMs);
  if (!findings.has("clock-outside")) findings.skip("clock-outside", "no provider was asked");
  return { findings: findings.all, skipped: findings.skipped };
}
