// Checks that the configured master keys open this database, as a start does. Changes nothing; no key leaves the vault.
import type { Config } from "../platform/config.ts";
import type { Sql } from "../db/index.ts";
import { checkMasterKeys, loadMasterKeys } from "../vault/index.ts";
import { saidBy, type Findings } from "./finding.ts";

const ID = "master-key-opens";

export async function checkMasterKey(
  sql: Sql,
  config: Config,
  findings: Findings,
  offline: boolean,
): Promise<void> {
  if (offline && config.masterKey !== undefined && "kmsFile" in config.masterKey) {
    findings.skip(ID, "--offline: the master key is opened by a key service");
    return;
  }
  const isSaid = findings.all.some(
    ({ id, severity }) =>
      severity === "critical" && (id === "master-key-apart" || id === "master-key-mode"),
  );
  if (isSaid) {
    findings.skip(ID, "there is no master key that the service would take");
    return;
  }
  try {
    await checkMasterKeys(sql, await loadMasterKeys(config, { mayCreate: false }));
    findings.ok("Database", ID, "The master key opens this database.");
  } catch (error) {
    const what = saidBy(error);
    if (what === undefined) throw error;
    findings.add("Database", "critical", ID, {
      what,
      why: "The service does not start with it, and what is sealed under another key can't be opened.",
      fix: "Give the master keys that this database was sealed under (docs/master-key.md), or the DATABASE_URL that belongs to these",
    });
  }
}
