// A choice of one from a few: radio buttons side by side.
import { useId } from "react";

interface SegmentsProps {
  readonly label: string;
  readonly options: readonly (readonly [value: string, text: string])[];
  readonly value: string;
  readonly onValue: (value: string) => void;
}

export function Segments({ label, options, value, onValue }: SegmentsProps) {
  const name = useId();
  return (
    <fieldset className="segments">
      <legend className="unseen">{label}</legend>
      {options.map(([each, text]) => (
        <label key={each} className="segment">
          <input type="radio" name={name} checked={each === value} onChange={() => onValue(each)} />
          <span>{text}</span>
        </label>
      ))}
    </fieldset>
  );
}
