// The audit: who changed what, from where, and with which result. Read only; for auditors and owners.
import { useState } from "react";
import { useSearchParams } from "react-router";
import type { AuditEvent } from "../../contract/client.ts";
import { EventDialog, Party, ResultBadge } from "../parts/audit-event.tsx";
import { AuditLogActions, PrunedNote } from "../parts/audit-log.tsx";
import { AuditSubjects } from "../parts/audit-subjects.tsx";
import { Button } from "../parts/button.tsx";
import { Field } from "../parts/field.tsx";
import { Page } from "../parts/page.tsx";
import { SpanFilter, useSpan } from "../parts/span-filter.tsx";
import { EmptyState } from "../parts/states.tsx";
import { DataTable, type Column } from "../parts/table.tsx";
import { useAudit } from "../queries.ts";
import { exactTime, shortTime, ZONE_TEXT } from "../time.ts";

const FILTERS = ["action", "actor", "target"] as const;

function columnsOf(onDetails: (event: AuditEvent) => void): readonly Column<AuditEvent>[] {
  return [
    {
      title: "When",
      kind: "main",
      cell: ({ at, index }) => (
        <>
          <time dateTime={at} title={exactTime(at)}>
            {shortTime(at)}
          </time>
          <div className="muted">{index === null ? "not sealed yet" : `sealed, no. ${index}`}</div>
        </>
      ),
    },
    {
      title: "Who",
      kind: "wide",
      cell: (event) => (
        <>
          <Party event={event} part="actor" />
          <div className="muted">
            {[event.actor.kind.replace("_", " "), event.address].filter(Boolean).join(", ")}
          </div>
        </>
      ),
    },
    {
      title: "Action",
      cell: ({ action, method }) => (
        <>
          <code>{action}</code>
          <div className="muted">{method.replace("_", " ")}</div>
        </>
      ),
    },
    {
      title: "On what",
      cell: (event) => (
        <>
          <Party event={event} part="target" />
          <div className="muted">{event.target.kind.replace("_", " ")}</div>
        </>
      ),
    },
    { title: "Result", cell: ({ result }) => <ResultBadge result={result} /> },
    {
      title: "Actions",
      kind: "actions",
      cell: (event) => (
        <Button
          small
          onClick={() => onDetails(event)}
          aria-label={`Details of ${event.action}, ${exactTime(event.at)}`}
        >
          Details
        </Button>
      ),
    },
  ];
}

export function AuditPage() {
  const [query, setQuery] = useSearchParams();
  const span = useSpan("");
  const filters = Object.fromEntries(
    FILTERS.map((name) => [name, query.get(name) ?? ""]).filter(([, value]) => value !== ""),
  ) as Record<string, string>;
  const params = { ...span, ...filters };
  const events = useAudit(params);
  const [chosen, setChosen] = useState<AuditEvent | undefined>();
  const pruned = events.first?.prunedBefore ?? null;
  return (
    <Page
      title="Audit"
      intro={`Every change, newest first, sealed into a signed log. ${ZONE_TEXT}`}
      actions={<AuditLogActions params={params} />}
    >
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
        columns={columnsOf(setChosen)}
        list={events}
        rowKey={({ id }) => id}
        empty={
          <EmptyState title="No event that fits">Take a filter away, or a longer time.</EmptyState>
        }
        loadingRows={8}
      />
      {pruned !== null && events.more === undefined && <PrunedNote pruned={pruned} />}
      <EventDialog event={chosen} onClose={() => setChosen(undefined)} />
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
