// The time span of a list: the last hours or days, or from when to when. Kept in the page's URL, in UTC, so that a shared link shows the same
// span in another time zone.
import { useMemo, useState } from "react";
import { useSearchParams } from "react-router";
import { currentMs, hoursBefore, isoOfLocal, localOfIso, ZONE } from "../time.ts";
import { Field, SelectField } from "./field.tsx";

const SPANS = [
  ["1", "the last hour"],
  ["24", "the last 24 hours"],
  ["168", "the last 7 days"],
  ["720", "the last 30 days"],
  ["", "at any time"],
  ["chosen", "from … to …"],
] as const;

/** The API's parameters from the URL. `otherwise`: the default span in hours; "" is everything. */
export function useSpan(otherwise: string): Readonly<Record<string, string>> {
  const [query] = useSearchParams();
  const span = query.get("span") ?? otherwise;
  const from = isoOfLocal(query.get("from"));
  const to = isoOfLocal(query.get("to"));
  // Count back from when the page was opened: a moving span would be a different list each time.
  const [openedMs] = useState(currentMs);
  return useMemo((): Record<string, string> => {
    if (span === "chosen") return { ...(from && { from }), ...(to && { to }) };
    return span === "" ? {} : { from: hoursBefore(Number(span), openedMs) };
  }, [span, from, to, openedMs]);
}

export function SpanFilter({ otherwise }: { otherwise: string }) {
  const [query, setQuery] = useSearchParams();
  const span = query.get("span") ?? otherwise;
  const set = (name: string, value: string) => {
    const next = new URLSearchParams(query);
    next.set(name, value);
    setQuery(next, { replace: true });
  };
  const at = (name: "from" | "to", label: string) => (
    <Field
      label={`${label} (${ZONE})`}
      type="datetime-local"
      value={localOfIso(query.get(name))}
      onValue={(value) => set(name, isoOfLocal(value) ?? "")}
    />
  );
  return (
    <>
      <SelectField
        label="When"
        options={SPANS}
        value={span}
        onValue={(value) => set("span", value)}
      />
      {span === "chosen" && (
        <>
          {at("from", "From")}
          {at("to", "To")}
        </>
      )}
    </>
  );
}
