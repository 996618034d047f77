// Exchanges by minute, agent and provider.
import { Link } from "react-router";
import type { Activity } from "../../contract/client.ts";
import { agentPath } from "../paths.ts";
import type { Rows } from "../queries.ts";
import { bytes, counted, duration, exactTime, number, shortTime } from "../time.ts";
import { EmptyState } from "./states.tsx";
import { DataTable, type Column } from "./table.tsx";

interface ActivityTableProps {
  readonly list: Rows<Activity>;
  readonly withoutAgent?: boolean;
}

const marked = (value: number, tone: "bad" | "warn") => (
  <span className={value > 0 ? `${tone}-text` : "muted"}>{number(value)}</span>
);

const MINUTE: Column<Activity> = {
  title: "Minute",
  kind: "main",
  cell: (row) => (
    <time dateTime={row.minute} title={exactTime(row.minute)}>
      {shortTime(row.minute)}
    </time>
  ),
};
const AGENT: Column<Activity> = {
  title: "Agent",
  cell: ({ agent }) =>
    agent === "" ? (
      <span className="muted">unknown</span>
    ) : (
      <Link to={agentPath(agent)} className="break">
        {agent}
      </Link>
    ),
};
const COLUMNS: readonly Column<Activity>[] = [
  {
    title: "Provider",
    cell: ({ provider }) => (provider === "" ? <span className="muted">none</span> : provider),
  },
  { title: "Requests", kind: "number", cell: (row) => number(row.requests) },
  { title: "2xx", kind: "number", cell: (row) => number(row.status2xx) },
  { title: "4xx", kind: "number", cell: (row) => marked(row.status4xx, "warn") },
  { title: "5xx", kind: "number", cell: (row) => marked(row.status5xx, "bad") },
  { title: "Refused", kind: "number", cell: (row) => marked(row.refusals, "warn") },
  { title: "Broken", kind: "number", cell: (row) => marked(row.broken, "bad") },
  {
    title: "Sent / received",
    kind: "number",
    cell: (row) => `${bytes(row.requestBytes)} / ${bytes(row.responseBytes)}`,
  },
  {
    title: "First byte / all",
    kind: "number",
    cell: (row) => `${duration(row.firstByteMsAverage)} / ${duration(row.totalMsAverage)}`,
  },
];

/** Contexts with no more characters than this are shown at once. */
const SHORT = 60;

/** On whose behalf, as the agent said it in its requests. */
const CONTEXTS: Column<Activity> = {
  title: "On behalf of",
  kind: "wide",
  cell: ({ contexts }) => {
    if (contexts.length === 0) return <span className="muted">–</span>;
    const texts = contexts.map(
      ({ context, requests }) =>
        [
          Object.entries(context)
            .map(([name, value]) => `${name}: ${value}`)
            .join(", "),
          requests,
        ] as const,
    );
    const list = (
      <ul>
        {texts.map(([text, requests]) => (
          <li key={text}>
            <span className="break">{text}</span>{" "}
            <span className="muted nowrap">{number(requests)}×</span>
          </li>
        ))}
      </ul>
    );
    if (texts.map(([text]) => text).join("").length <= SHORT) return list;
    return (
      <details className="hashes">
        <summary>{counted(contexts.length, "context")}</summary>
        {list}
      </details>
    );
  },
};

export function ActivityTable({ list, withoutAgent = false }: ActivityTableProps) {
  const contexts = list.rows.some((row) => row.contexts.length > 0) ? [CONTEXTS] : [];
  return (
    <DataTable
      label="Activity"
      dense
      columns={[MINUTE, ...(withoutAgent ? [] : [AGENT]), ...COLUMNS, ...contexts]}
      list={list}
      rowKey={({ minute, agent, provider }) => `${minute} ${agent} ${provider}`}
      empty={
        <EmptyState title="Nothing went through">
          No exchange in this time that fits. They show here within a minute.
        </EmptyState>
      }
      loadingRows={8}
    />
  );
}
