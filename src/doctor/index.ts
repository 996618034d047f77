// Looks at a deployment before it is exposed: its settings, files, database, network, and the service as it answers. Changes nothing,
// sends no key anywhere, and prints none.
import type { Clock } from "../clock.ts";
import type { Config } from "../config.ts";
import { checkDatabase } from "./database.ts";
import { checkFiles } from "./files.ts";
import { Findings, type Finding, type Skipped } from "./finding.ts";
import { checkMachine } from "./machine.ts";
import { checkRedis } from "./redis.ts";
import { checkSettings } from "./settings.ts";
import { checkCertificate, checkListeners } from "./tls.ts";
import { checkUpstreams } from "./upstreams.ts";

export type { Finding, Group, Severity, Skipped } from "./finding.ts";

export interface Examination {
  readonly findings: readonly Finding[];
  readonly skipped: readonly Skipped[];
}

/** `offline`: without the providers. Never rejects for what it finds. */
export async function examine(
  config: Config,
  { clock, offline }: { clock: Clock; offline: boolean },
): Promise<Examination> {
  const findings = new Findings();
  checkSettings(config, findings);
  await checkCertificate(config, findings, clock.nowMs());
  await checkListeners(config, findings);
  await checkFiles(config, findings);
  await checkMachine(findings);
  const origins = await checkDatabase(config, findings, () => clock.nowMs());
  await checkRedis(config, findings);
  if (offline) findings.skip("providers", "--offline");
  else if (origins === undefined) findings.skip("providers", "which there are is in the database");
  else await checkUpstreams(config, origins, findings, () => clock.nowMs());
  return { findings: findings.all, skipped: findings.skipped };
}
