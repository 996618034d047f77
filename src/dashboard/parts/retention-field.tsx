// The field for the audit's retention: a preset, a number of days, or forever.
import type { Workspace } from "../../contract/client.ts";
import { counted, exactTime } from "../time.ts";
import { Field, SelectField } from "./field.tsx";

const PRESETS = [
  ["365", "1 year (SOC 2)"],
  ["2190", "6 years (HIPAA)"],
  ["days", "a number of days"],
  ["forever", "for ever"],
] as const;

export interface RetentionDraft {
  readonly preset: string;
  readonly days: string;
}

export function retentionDraftOf({ auditRetentionDays: days }: Workspace): RetentionDraft {
  if (days === null) return { preset: "forever", days: "" };
  const preset = PRESETS.some(([value]) => value === String(days)) ? String(days) : "days";
  return { preset, days: String(days) };
}

/** In days; null: for ever. */
export function daysOf({ preset, days }: RetentionDraft): number | null {
  return preset === "forever" ? null : Number(preset === "days" ? days : preset);
}

interface RetentionFieldProps {
  readonly workspace: Workspace;
  readonly draft: RetentionDraft;
  readonly onDraft: (draft: RetentionDraft) => void;
}

export function RetentionField({ workspace, draft, onDraft }: RetentionFieldProps) {
  const from = workspace.auditRetentionFrom;
  return (
    <>
      <SelectField
        label="Keep the audit for"
        hint={
          from === null
            ? "Older events are pruned; the signed log still verifies. A shorter time counts a week after it was set."
            : `What was set counts from ${exactTime(from)}; until then the time before it.`
        }
        options={PRESETS}
        value={draft.preset}
        onValue={(preset) => onDraft({ ...draft, preset })}
      />
      {draft.preset === "days" && (
        <Field
          label="Days to keep the audit"
          type="number"
          min={30}
          max={36_500}
          value={draft.days}
          onValue={(days) => onDraft({ ...draft, days })}
          required
        />
      )}
    </>
  );
}

/** The same, for users who can't change it. */
export function retentionText({ auditRetentionDays, auditRetentionFrom }: Workspace): string {
  const text = auditRetentionDays === null ? "for ever" : counted(auditRetentionDays, "day");
  return auditRetentionFrom === null
    ? text
    : `${text}, from ${exactTime(auditRetentionFrom)} on; until then as long as before`;
}
