// Activity: exchanges, summed up by minute, agent and provider.
import { useSearchParams } from "react-router";
import { ActivityTable } from "../parts/activity-table.tsx";
import { SelectField } from "../parts/field.tsx";
import { Page } from "../parts/page.tsx";
import { SpanFilter, useSpan } from "../parts/span-filter.tsx";
import { useActivity, useAllAgents, useProviders } from "../queries.ts";
import { ZONE_TEXT } from "../time.ts";

const SPAN_HOURS = "24";

export function ActivityPage() {
  const [query, setQuery] = useSearchParams();
  const agents = useAllAgents();
  const providers = useProviders();
  const span = useSpan(SPAN_HOURS);
  const agent = query.get("agent") ?? "";
  const provider = query.get("provider") ?? "";
  const activity = useActivity({
    ...span,
    ...(agent !== "" && { agent }),
    ...(provider !== "" && { provider }),
  });
  const set = (name: string, value: string) => {
    const next = new URLSearchParams(query);
    if (value === "") next.delete(name);
    else next.set(name, value);
    setQuery(next, { replace: true });
  };
  return (
    <Page
      title="Activity"
      intro={`Exchanges by the minute. Counts, sizes and times; never what was said. ${ZONE_TEXT}`}
    >
      <form className="filters" role="search" aria-label="Filter the activity">
        <SelectField
          label="Agent"
          value={agent}
          onValue={(value) => set("agent", value)}
          options={choices("every agent", agents.rows, agent)}
        />
        <SelectField
          label="Provider"
          value={provider}
          onValue={(value) => set("provider", value)}
          options={choices("every provider", providers.rows, provider)}
        />
        <SpanFilter otherwise={SPAN_HOURS} />
      </form>
      <ActivityTable list={activity} />
    </Page>
  );
}

/** All names, with the chosen one, which may have been deleted. */
function choices(
  every: string,
  things: readonly { readonly name: string }[],
  chosen: string,
): readonly (readonly [string, string])[] {
  const names = things.map(({ name }) => name);
  const gone = chosen !== "" && !names.includes(chosen) ? [chosen] : [];
  return [["", every], ...[...gone, ...names].map((name) => [name, name] as const)];
}
