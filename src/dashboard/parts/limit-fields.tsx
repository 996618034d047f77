// Limits as fields, for an agent and for the workspace. Empty: no limit.
import { bytes, counted, number } from "../time.ts";
import { Field } from "./field.tsx";

const FIELDS = {
  requestsPerMinute: { label: "Requests a minute", max: 1_000_000_000 },
  openStreams: { label: "Open streams", max: 1_000_000_000 },
  bytesPerMinute: { label: "Bytes a minute", max: Number.MAX_SAFE_INTEGER },
  openWebsockets: { label: "Open WebSockets", max: 1_000_000_000 },
} as const;
export type LimitName = keyof typeof FIELDS;

interface LimitFieldsProps<Name extends LimitName> {
  readonly names: readonly Name[];
  readonly values: Readonly<Record<Name, string>>;
  readonly onValues: (values: Record<Name, string>) => void;
}

export function LimitFields<Name extends LimitName>(props: LimitFieldsProps<Name>) {
  const { names, values, onValues } = props;
  return (
    <div className="fields-row">
      {names.map((name) => (
        <Field
          key={name}
          label={FIELDS[name].label}
          hint={hintOf(name, values[name])}
          type="number"
          min={1}
          max={FIELDS[name].max}
          placeholder="no limit"
          value={values[name]}
          onValue={(value) => onValues({ ...values, [name]: value })}
        />
      ))}
    </div>
  );
}

function hintOf(name: LimitName, value: string): string {
  switch (name) {
    case "requestsPerMinute":
      return "Evenly over the minute.";
    case "openStreams":
      return "Calls under way at once.";
    case "openWebsockets":
      return "Connections at once.";
    case "bytesPerMinute":
      return Number(value) >= 1000 ? `${bytes(Number(value))} a minute.` : "Both ways together.";
  }
}

/** The same, to read. */
export function Limits({ limits }: { limits: Partial<Record<LimitName, number | null>> }) {
  const texts = Object.entries(limits).flatMap(([name, limit]) =>
    limit === null ? [] : [textOf(name as LimitName, limit)],
  );
  if (texts.length === 0) return <span className="muted">not limited</span>;
  return texts.join(", ");
}

function textOf(name: LimitName, limit: number): string {
  switch (name) {
    case "requestsPerMinute":
      return `${counted(limit, "request")} a minute`;
    case "openStreams":
      return counted(limit, "open stream");
    case "openWebsockets":
      return counted(limit, "open WebSocket");
    case "bytesPerMinute":
      return `${limit < 1000 ? `${number(limit)} B` : bytes(limit)} a minute`;
  }
}
