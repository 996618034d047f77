// A list of names and values: as a card, or with a `className` inside something else.
import type { ReactNode } from "react";

export function Facts({
  facts,
  className = "card facts",
}: {
  className?: string;
  facts: readonly (readonly [name: string, value: ReactNode])[];
}) {
  return (
    <dl className={className}>
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
