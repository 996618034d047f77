// The time that a list is about: the last hours or days, or from when to when. Kept in the page's URL, in UTC: whoever gets the link
// sees the same in a zone of their own.
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

/** What the URL says, as parameters of the API. `otherwise`: the span of a page without one, in hours; "" is all. */
export function useSpan(otherwise: string): Readonly<Record<string, string>> {
  const [query] = useSearchParams();
  const span = query.get("span") ?? otherwise;
  const from = isoOfLocal(query.get("from"));
  const to = isoOfLocal(query.get("to"));
  // The hours before the page was opened: a span that moved on would be another list each time.
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
