// The overview: what needs attention, and the traffic over time, by provider and agent.
import { lazy, Suspense, useState } from "react";
import { Link, useSearchParams } from "react-router";
import type { Overview } from "../../contract/client.ts";
import { Attention } from "../parts/attention.tsx";
import { Button } from "../parts/button.tsx";
import { FailureBoundary } from "../parts/failure.tsx";
import { FirstSteps } from "../parts/first-steps.tsx";
import { Page, Section } from "../parts/page.tsx";
import { Segments } from "../parts/segments.tsx";
import { ErrorState, Skeleton } from "../parts/states.tsx";
import { agentPath, PATHS } from "../paths.ts";
import { areOpen, useOverview } from "../queries.ts";
import { number, shortNumber } from "../time.ts";

const Charts = lazy(() => import("../parts/charts.tsx"));

const SPANS = [
  ["24", "24 hours"],
  ["168", "7 days"],
] as const;

export function OverviewPage() {
  const [query, setQuery] = useSearchParams();
  const hours = query.get("hours") === "168" ? 168 : 24;
  const { data, error, refetch, isPlaceholderData } = useOverview(hours);
  // Once shown, they stay until the user leaves the page, so that the last tick can be seen, too.
  const [begun, setBegun] = useState(false);
  if (!begun && data !== undefined && areOpen(data.firstSteps)) setBegun(true);
  return (
    <Page
      title="Overview"
      actions={
        <Segments
          label="Time span"
          options={SPANS}
          value={String(hours)}
          onValue={(value) => setQuery(value === "24" ? {} : { hours: value }, { replace: true })}
        />
      }
    >
      {error !== null && data === undefined ? (
        <div className="card">
          <ErrorState error={error} retry={() => void refetch()} />
        </div>
      ) : (
        <div className={isPlaceholderData ? "stale" : undefined}>
          {/* Of an empty workspace there is nothing to say. */}
          {(data === undefined || !areOpen(data.firstSteps) || data.attention.length > 0) && (
            <Attention items={data?.attention} />
          )}
          {/* Nothing below it before it has its height. */}
          {begun && data !== undefined && data.firstSteps !== null && (
            <FirstSteps steps={data.firstSteps} />
          )}
          {data !== undefined && <Traffic overview={data} hours={hours} />}
        </div>
      )}
    </Page>
  );
}

function Traffic({ overview, hours }: { overview: Overview; hours: number }) {
  const { byProvider, byAgent, totals } = overview;
  return (
    <>
      <section className="section" aria-label="Over time">
        <FailureBoundary>
          <Suspense fallback={<ChartsPlace />}>
            <Charts overview={overview} hours={hours} />
          </Suspense>
        </FailureBoundary>
      </section>
      <div className="two-columns">
        <Shares
          title="By provider"
          total={totals.providers}
          rows={byProvider.map((row) => ({
            ...row,
            name: row.provider === "" ? "no known provider" : row.provider,
            to: `${PATHS.activity}?${new URLSearchParams({ provider: row.provider }).toString()}`,
          }))}
        />
        <Shares
          title="By agent"
          total={totals.agents}
          rows={byAgent.map((row) => ({ ...row, name: row.agent, to: agentPath(row.agent) }))}
        />
      </div>
    </>
  );
}

function ChartsPlace() {
  return (
    <div className="charts" aria-busy="true">
      {["Requests", "Errors", "Refusals", "Active streams"].map((title) => (
        <div key={title} className="card chart-card">
          <h2 className="chart-title">{title}</h2>
          <p className="chart-total">
            <Skeleton width="4rem" />
          </p>
          <div className="chart" />
        </div>
      ))}
    </div>
  );
}

type Share = Pick<Overview["byAgent"][number], "requests" | "errors" | "refusals"> & {
  readonly name: string;
  readonly to: string;
};

/** How many are shown at first. */
const FIRST = 10;

interface SharesProps {
  readonly title: string;
  /** Those with the most requests. */
  readonly rows: readonly Share[];
  /** How many there are. */
  readonly total: number;
}

function Shares({ title, rows, total }: SharesProps) {
  const [whole, setWhole] = useState(false);
  const shown = whole ? rows : rows.slice(0, FIRST);
  const most = Math.max(1, ...rows.map((row) => row.requests));
  return (
    <Section title={title}>
      <div className="card table-card">
        <table className="shares" aria-label={title}>
          <thead>
            <tr>
              <th scope="col">Name</th>
              <th scope="col" className="number">
                Requests
              </th>
              <th scope="col" className="number">
                Errors
              </th>
              <th scope="col" className="number">
                Refusals
              </th>
            </tr>
          </thead>
          <tbody>
            {rows.length === 0 && (
              <tr>
                <td colSpan={4} className="muted">
                  Nothing in this time.
                </td>
              </tr>
            )}
            {shown.map((row) => (
              <tr key={row.name}>
                <td className="share-name">
                  <Link to={row.to}>{row.name}</Link>
                  <span className="share-bar" aria-hidden="true">
                    <span style={{ width: `${(100 * row.requests) / most}%` }} />
                  </span>
                </td>
                <td className="number" title={number(row.requests)}>
                  {shortNumber(row.requests)}
                </td>
                <td className={row.errors > 0 ? "number bad-text" : "number muted"}>
                  {shortNumber(row.errors)}
                </td>
                <td className={row.refusals > 0 ? "number warn-text" : "number muted"}>
                  {shortNumber(row.refusals)}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
        {shown.length < total && (
          <div className="table-end">
            <p className="muted">
              The first {number(shown.length)} of {number(total)}
            </p>
            {shown.length < rows.length && (
              <Button onClick={() => setWhole(true)}>Show more</Button>
            )}
          </div>
        )}
      </div>
    </Section>
  );
}
