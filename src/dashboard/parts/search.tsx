// The search of a list: by the service, over all of it. What is sought is kept in the page's URL.
import { useEffect, useRef, useState } from "react";
import { useSearchParams } from "react-router";
import { Field } from "./field.tsx";
import { EmptyState } from "./states.tsx";

const PARAMETER = "query";
/** So long nothing more has to be typed before it is looked for. */
const REST_MS = 250;

/** What is sought; empty: nothing. */
export function useSought(): string {
  const [query] = useSearchParams();
  return query.get(PARAMETER) ?? "";
}

interface SearchProps {
  /** What is looked through: its accessible name. */
  readonly label: string;
  readonly placeholder: string;
}

export function Search({ label, placeholder }: SearchProps) {
  const sought = useSought();
  const [, setQuery] = useSearchParams();
  const [typed, setTyped] = useState(sought);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);
  const seek = (text: string) =>
    setQuery(
      (before) => {
        const next = new URLSearchParams(before);
        if (text === "") next.delete(PARAMETER);
        else next.set(PARAMETER, text);
        return next;
      },
      { replace: true },
    );
  return (
    <search className="filters">
      <Field
        label={label}
        type="search"
        placeholder={placeholder}
        maxLength={200}
        value={typed}
        onValue={(value) => {
          setTyped(value);
          clearTimeout(timer.current);
          timer.current = setTimeout(() => seek(value.trim()), REST_MS);
        }}
        autoComplete="off"
        autoCapitalize="off"
        spellCheck={false}
      />
    </search>
  );
}

/** In place of a list in which nothing fits. */
export function NothingFound({ sought }: { sought: string }) {
  return (
    <EmptyState title={`Nothing has “${sought}” in it`}>
      Search for less of it, or for something else.
    </EmptyState>
  );
}
