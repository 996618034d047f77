// On whose behalf agents say that they made calls. Read only; for auditors and owners.
import { useState } from "react";
import { useSearchParams } from "react-router";
import type { CallContext } from "../../contract/client.ts";
import { AuditSubjects } from "../parts/audit-subjects.tsx";
import { Button } from "../parts/button.tsx";
import { Field } from "../parts/field.tsx";
import { Page } from "../parts/page.tsx";
import { SpanFilter, useSpan } from "../parts/span-filter.tsx";
import { EmptyState } from "../parts/states.tsx";
import { DataTable, type Column } from "../parts/table.tsx";
import { useContexts } from "../queries.ts";
import { exactTime, number, shortTime, ZONE_TEXT } from "../time.ts";

const COLUMNS: readonly Column<CallContext>[] = [
  {
    title: "Minute",
    kind: "main",
    cell: ({ minute }) => (
      <time dateTime={minute} title={exactTime(minute)}>
        {shortTime(minute)}
      </time>
    ),
  },
  { title: "Agent", cell: ({ agent }) => <span className="break">{agent}</span> },
  {
    title: "Provider",
    cell: ({ provider }) =>
      provider === "" ? <span className="muted">no known one</span> : provider,
  },
  {
    title: "On behalf of",
    kind: "wide",
    cell: ({ context }) => (
      <ul>
        {Object.entries(context).map(([name, value]) => (
          <li key={name}>
            <span className="muted">{name}:</span> <span className="break">{value}</span>
          </li>
        ))}
      </ul>
    ),
  },
  { title: "Requests", kind: "number", cell: ({ requests }) => number(requests) },
];

export function ContextsPage() {
  const [query, setQuery] = useSearchParams();
  const span = useSpan("");
  const agent = query.get("agent") ?? "";
  const contexts = useContexts({ ...span, ...(agent !== "" && { agent }) });
  return (
    <Page
      title="On whose behalf"
      intro={`What agents said of their calls, in x3sproxy-context-… headers, newest first. It is the agent’s word, not a proof. ${ZONE_TEXT}`}
    >
      <AuditSubjects />
      <AgentFilter
        key={agent}
        agent={agent}
        onApply={(name) => {
          const next = new URLSearchParams(query);
          if (name === "") next.delete("agent");
          else next.set("agent", name);
          setQuery(next);
        }}
      />
      <DataTable
        label="Contexts"
        dense
        columns={COLUMNS}
        list={contexts}
        rowKey={({ minute, agent: name, provider, context }) =>
          JSON.stringify([minute, name, provider, context])
        }
        empty={
          <EmptyState title="No agent said anything">
            An agent says for whom and why it makes a call by <code>x3sproxy-context-user</code> and
            the like.
          </EmptyState>
        }
        loadingRows={8}
      />
    </Page>
  );
}

function AgentFilter({ agent, onApply }: { agent: string; onApply: (agent: string) => void }) {
  const [value, setValue] = useState(agent);
  return (
    <form
      className="filters"
      role="search"
      aria-label="Filter the contexts"
      onSubmit={(event) => {
        event.preventDefault();
        onApply(value.trim());
      }}
    >
      <Field
        label="Agent"
        placeholder="Name"
        value={value}
        onValue={setValue}
        spellCheck={false}
        autoCapitalize="off"
      />
      <SpanFilter otherwise="" />
      <Button type="submit">Filter</Button>
    </form>
  );
}
