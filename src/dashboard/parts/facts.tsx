// A few facts on one thing, name and value: as a card of their own or, within something else, in its `className`.
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
