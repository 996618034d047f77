// The audit: who changed what, from where, and how it ended. Read only; for the auditor and the owner.
import { useState } from "react";
import { useSearchParams } from "react-router";
import type { AuditEvent } from "../answers.ts";
import { AuditSubjects } from "../parts/audit-subjects.tsx";
import { Button } from "../parts/button.tsx";
import { Field } from "../parts/field.tsx";
import { Page } from "../parts/page.tsx";
import { SpanFilter, useSpan } from "../parts/span-filter.tsx";
import { Badge, EmptyState } from "../parts/states.tsx";
import { DataTable, type Column } from "../parts/table.tsx";
import { useAudit } from "../queries.ts";
import { exactTime, shortTime } from "../time.ts";

const FILTERS = ["action", "actor", "target"] as const;

const COLUMNS: readonly Column<AuditEvent>[] = [
  {
    title: "When",
    kind: "main",
    cell: ({ at }) => (
      <time dateTime={at} title={exactTime(at)}>
        {shortTime(at)}
      </time>
    ),
  },
  {
    title: "Who",
    kind: "wide",
    cell: ({ actor, address }) => (
      <>
        <span className="break">{actor.name ?? actor.id ?? "nobody"}</span>
        <div className="muted">
          {[actor.kind?.replace("_", " "), address].filter(Boolean).join(", ")}
        </div>
      </>
    ),
  },
  {
    title: "Action",
    cell: ({ action, method }) => (
      <>
        <code>{action}</code>
        {method !== null && <div className="muted">{method}</div>}
      </>
    ),
  },
  {
    title: "On what",
    cell: ({ target }) => (
      <>
        <span className="break">{target.name ?? target.id ?? "–"}</span>
        {target.kind !== null && <div className="muted">{target.kind.replace("_", " ")}</div>}
      </>
    ),
  },
  {
    title: "Result",
    cell: ({ result }) => <Badge tone={isGood(result) ? "good" : "bad"}>{result}</Badge>,
  },
  {
    title: "Before and after",
    cell: ({ beforeHash, afterHash }) =>
      beforeHash === null && afterHash === null ? (
        <span className="muted">–</span>
      ) : (
        <details className="hashes">
          <summary>
            <code>
              {beforeHash?.slice(0, 6) ?? "–"} → {afterHash?.slice(0, 6) ?? "–"}
            </code>
          </summary>
          <code className="break">{beforeHash ?? "–"}</code>
          <code className="break">{afterHash ?? "–"}</code>
        </details>
      ),
  },
];

export function AuditPage() {
  const [query, setQuery] = useSearchParams();
  const span = useSpan("");
  const filters = Object.fromEntries(
    FILTERS.map((name) => [name, query.get(name) ?? ""]).filter(([, value]) => value !== ""),
  ) as Record<string, string>;
  const events = useAudit({ ...span, ...filters });
  return (
    <Page title="Audit" intro="Every change, in the order in which it happened, newest first.">
      <AuditSubjects />
      <AuditFilters
        key={JSON.stringify(filters)}
        onApply={(values) => {
          const next = new URLSearchParams(query);
          for (const name of FILTERS) {
            if (values[name].trim() === "") next.delete(name);
            else next.set(name, values[name].trim());
          }
          setQuery(next);
        }}
        filters={filters}
      />
      <DataTable
        label="Audit events"
        dense
        columns={COLUMNS}
        list={events}
        rowKey={({ id }) => String(id)}
        empty={
          <EmptyState title="No event that fits">Take a filter away, or a longer time.</EmptyState>
        }
        loadingRows={8}
      />
    </Page>
  );
}

type Values = Record<(typeof FILTERS)[number], string>;

interface AuditFiltersProps {
  readonly filters: Readonly<Record<string, string>>;
  readonly onApply: (values: Values) => void;
}

function AuditFilters({ filters, onApply }: AuditFiltersProps) {
  const [values, setValues] = useState<Values>({
    action: filters["action"] ?? "",
    actor: filters["actor"] ?? "",
    target: filters["target"] ?? "",
  });
  const field = (name: keyof Values, label: string, placeholder: string) => (
    <Field
      label={label}
      placeholder={placeholder}
      value={values[name]}
      onValue={(value) => setValues({ ...values, [name]: value })}
      spellCheck={false}
      autoCapitalize="off"
    />
  );
  return (
    <form
      className="filters"
      role="search"
      aria-label="Filter the audit"
      onSubmit={(event) => {
        event.preventDefault();
        onApply(values);
      }}
    >
      {field("action", "Action", "secret.set")}
      {field("actor", "Who", "E-mail or key’s name")}
      {field("target", "On what", "Name")}
      <SpanFilter otherwise="" />
      <Button type="submit">Filter</Button>
    </form>
  );
}

const isGood = (result: string): boolean => /^(ok|done|success|2\d\d)/.test(result);
