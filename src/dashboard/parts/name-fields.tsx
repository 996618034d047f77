// Fields for names: of an environment, and for confirming an action by typing a name.
import type { ReactNode } from "react";
import { Field } from "./field.tsx";

interface EnvironmentProps {
  readonly label: string;
  readonly value: string;
  readonly onValue: (value: string) => void;
  /** The existing names. */
  readonly suggestions?: readonly string[] | undefined;
  readonly hint?: ReactNode;
  readonly "data-initial-focus"?: boolean;
}

export function EnvironmentField({ suggestions = [], ...props }: EnvironmentProps) {
  return (
    <Field
      {...props}
      suggestions={suggestions}
      pattern="[a-z0-9][a-z0-9\-]{0,62}"
      title="Lower-case letters, digits and dashes"
      autoCapitalize="off"
      autoComplete="off"
      spellCheck={false}
      required
    />
  );
}

interface TypedNameProps {
  readonly name: string;
  /** What typing it does, after "Type … to". */
  readonly to: string;
  readonly hint?: ReactNode;
  readonly value: string;
  readonly onValue: (value: string) => void;
  /** Whether a wrong name was submitted. */
  readonly wrong: boolean;
  readonly "data-initial-focus"?: boolean;
}

export function TypedNameField({ name, to, wrong, ...props }: TypedNameProps) {
  return (
    <Field
      {...props}
      label={
        <>
          Type <code>{name}</code> to {to}
        </>
      }
      error={wrong ? `This is not ${name}.` : undefined}
      autoComplete="off"
      autoCapitalize="off"
      spellCheck={false}
    />
  );
}
