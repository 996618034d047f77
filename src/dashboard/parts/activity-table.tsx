// Exchanges by minute, agent and provider.
import { Link } from "react-router";
import type { Activity } from "../answers.ts";
import { agentPath } from "../paths.ts";
import type { Rows } from "../queries.ts";
import { bytes, duration, exactTime, number, shortTime } from "../time.ts";
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
      <Link to={agentPath(agent)}>{agent}</Link>
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

export function ActivityTable({ list, withoutAgent = false }: ActivityTableProps) {
  return (
    <DataTable
      label="Activity"
      dense
      columns={[MINUTE, ...(withoutAgent ? [] : [AGENT]), ...COLUMNS]}
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
