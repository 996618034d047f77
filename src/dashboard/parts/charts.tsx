// The charts over time. A file of its own, since the chart library is as large as everything else. A table below shows the same values.
import {
  Area,
  AreaChart,
  CartesianGrid,
  ResponsiveContainer,
  Tooltip,
  XAxis,
  YAxis,
} from "recharts";
import type { Overview } from "../../contract/client.ts";
import {
  counted,
  exactTime,
  minuteTime,
  number,
  shortNumber,
  stepText,
  tickTime,
} from "../time.ts";

type Measure = "requests" | "errors" | "refusals" | "activeStreams";

const MEASURES: readonly (readonly [measure: Measure, title: string, unit: string])[] = [
  ["requests", "Requests", "request"],
  ["errors", "Errors", "error"],
  ["refusals", "Refusals", "refusal"],
  ["activeStreams", "Active streams", "stream"],
];

export default function Charts({ overview, hours }: { overview: Overview; hours: number }) {
  return (
    <>
      <div className="charts">
        {MEASURES.map(([measure, title, unit]) => (
          <Chart key={measure} {...{ measure, title, unit, overview, hours }} />
        ))}
      </div>
      <details className="numbers">
        <summary>The same in numbers</summary>
        <Numbers overview={overview} />
      </details>
    </>
  );
}

interface ChartProps {
  readonly measure: Measure;
  readonly title: string;
  readonly unit: string;
  readonly overview: Overview;
  readonly hours: number;
}

function Chart({ measure, title, unit, overview, hours }: ChartProps) {
  const { series, totals, stepSeconds } = overview;
  const highest = series.reduce<Overview["series"][number] | undefined>(
    (best, each) => (best === undefined || each[measure] > best[measure] ? each : best),
    undefined,
  );
  const peak = measure === "activeStreams";
  return (
    <figure className={`card chart-card ${measure}`}>
      <figcaption>
        <h2 className="chart-title">{title}</h2>
        <p className="chart-total">
          {number(totals[measure])}
          <span className="muted">{peak ? " at most, lately" : shareOf(measure, totals)}</span>
        </p>
        <p className="unseen">
          {highest === undefined || highest[measure] === 0
            ? `No ${unit}s in this time.`
            : `At most ${counted(highest[measure], unit)} in ${stepText(stepSeconds)}, at ${exactTime(highest.at)}.`}
        </p>
      </figcaption>
      <div className="chart" aria-hidden="true">
        <ResponsiveContainer width="100%" height="100%">
          <AreaChart
            data={[...series]}
            accessibilityLayer={false}
            margin={{ top: 6, right: 4, bottom: 0, left: 0 }}
          >
            <CartesianGrid vertical={false} stroke="var(--line)" />
            <XAxis
              dataKey="at"
              height={22}
              tickFormatter={(at: string) => tickTime(at, hours)}
              minTickGap={48}
              tickLine={false}
              axisLine={{ stroke: "var(--line)" }}
              tick={{ fill: "var(--muted)", fontSize: 12 }}
            />
            <YAxis
              width={38}
              allowDecimals={false}
              domain={[0, "auto"]}
              tickCount={4}
              tickFormatter={shortNumber}
              tickLine={false}
              axisLine={false}
              tick={{ fill: "var(--muted)", fontSize: 12 }}
            />
            <Tooltip
              isAnimationActive={false}
              cursor={{ stroke: "var(--muted)", strokeDasharray: "3 3" }}
              content={({ active, payload, label }) =>
                active && payload[0] !== undefined ? (
                  <div className="chart-tip">
                    <strong>{number(Number(payload[0].value))}</strong> {unit}
                    <div className="muted">{minuteTime(String(label))}</div>
                  </div>
                ) : null
              }
            />
            <Area
              dataKey={measure}
              type="monotone"
              stroke="var(--series)"
              strokeWidth={1.75}
              fill="var(--series)"
              fillOpacity={0.13}
              isAnimationActive={false}
              dot={false}
              activeDot={{ r: 3.5, stroke: "var(--card)" }}
            />
          </AreaChart>
        </ResponsiveContainer>
      </div>
    </figure>
  );
}

function shareOf(measure: "requests" | "errors" | "refusals", totals: Overview["totals"]): string {
  if (measure === "requests" || totals.requests === 0) return "";
  return ` ${((100 * totals[measure]) / totals.requests).toFixed(1)} %`;
}

function Numbers({ overview }: { overview: Overview }) {
  return (
    // It scrolls, so the keyboard has to reach it.
    <div
      className="card table-card numbers-table"
      tabIndex={0}
      role="region"
      aria-label="In numbers"
    >
      <table className="shares">
        <thead>
          <tr>
            <th scope="col">From</th>
            {MEASURES.map(([measure, title]) => (
              <th key={measure} scope="col" className="number">
                {title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {overview.series.toReversed().map((each) => (
            <tr key={each.at}>
              <td>{minuteTime(each.at)}</td>
              {MEASURES.map(([measure]) => (
                <td key={measure} className="number">
                  {number(each[measure])}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
