// The search field of a list. The service searches the whole list. The text is kept in the page's URL.
import { useEffect, useRef, useState } from "react";
import { useSearchParams } from "react-router";
import { Field } from "./field.tsx";
import { EmptyState } from "./states.tsx";

const PARAMETER = "query";
/** The pause in typing after which the search starts. */
const REST_MS = 250;

/** The searched text. Empty: no search. */
export function useSought(): string {
  const [query] = useSearchParams();
  return query.get(PARAMETER) ?? "";
}

interface SearchProps {
  /** The searched list: the field's accessible name. */
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

/** Shown in place of a list without results. */
export function NothingFound({ sought }: { sought: string }) {
  return (
    <EmptyState title={`Nothing has “${sought}” in it`}>
      Search for less of it, or for something else.
    </EmptyState>
  );
}
