// Checks regular upkeep, from the database: backups, the audit's sealing, master keys. Reads only.
import { lastBackupAt } from "../backup/index.ts";
import type { Sql } from "../db/index.ts";
import type { Findings } from "./finding.ts";

const BACKUP_DAYS = 7;
const DAY_MS = 86_400_000;

export async function checkUpkeep(sql: Sql, findings: Findings, nowMs: number): Promise<void> {
  const last = await lastBackupAt(sql);
  const days = last === undefined ? undefined : (nowMs - last.getTime()) / DAY_MS;
  if (days === undefined || days > BACKUP_DAYS) {
    findings.add("Upkeep", "warning", "backup-age", {
      what:
        days === undefined
          ? "There was no backup yet."
          : `The last backup is ${Math.floor(days)} days old.`,
      why: "What is lost with the database can't be had again: agents, users, and all keys.",
      fix: "x3sproxy backup --output x3sproxy.age --recipient age1…, every day (docs/backup.md)",
    });
  } else findings.ok("Upkeep", "backup-age", "The last backup is younger than a week.");
  const [row] = await sql<[{ late: string; keys: string }]>`
    select (select count(*) from x3sproxy.audit_pending where created_at < now() - interval '1 minute') as late,
      (select count(distinct key_id) from (
        select key_id from x3sproxy.secret_versions union all select key_id from x3sproxy.second_factors
        union all select key_id from x3sproxy.sealed_keys) sealed) as keys`;
  if (Number(row.late) > 0) {
    findings.add("Upkeep", "critical", "audit-sealing", {
      what: `Events of the audit that have not been sealed for a minute or more: ${row.late}.`,
      why: "The service doesn't run, or the tree was edited: then its log says that the audit can't be sealed.",
      fix: "Start the service, and look in its log for the audit",
    });
  } else findings.ok("Upkeep", "audit-sealing", "The audit is sealed.");
  if (Number(row.keys) > 1) {
    findings.add("Upkeep", "note", "master-keys", {
      what: `Rows are sealed under ${row.keys} master keys.`,
      why: "An old key can be put away only when nothing is sealed under it any more.",
      fix: "x3sproxy master-key rotate",
    });
  } else findings.ok("Upkeep", "master-keys", "All is sealed under one master key.");
}
