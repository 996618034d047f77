// Form fields: a label, a control, a hint and an error, connected for assistive technology, too.
import { useId, useState, type ComponentProps, type ReactNode } from "react";
import { ApiProblem } from "../api.ts";
import { Icon } from "./icon.tsx";

interface FrameProps {
  readonly label: ReactNode;
  readonly hint?: ReactNode;
  readonly error?: string | undefined;
}

interface FieldProps extends Omit<ComponentProps<"input">, "onChange">, FrameProps {
  readonly value: string;
  readonly onValue: (value: string) => void;
  /** Suggestions. */
  readonly suggestions?: readonly string[];
}

export function Field({ label, hint, error, onValue, suggestions, ...input }: FieldProps) {
  const id = useId();
  const list = suggestions === undefined ? undefined : `${id}-list`;
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <input
        type="text"
        {...input}
        id={id}
        list={list}
        onChange={(event) => onValue(event.target.value)}
        {...described(id, hint, error)}
      />
      {suggestions && (
        <datalist id={list}>
          {suggestions.map((each) => (
            <option key={each} value={each} />
          ))}
        </datalist>
      )}
      <Notes id={id} hint={hint} error={error} />
    </div>
  );
}

interface SelectProps extends Omit<ComponentProps<"select">, "onChange">, FrameProps {
  readonly value: string;
  readonly onValue: (value: string) => void;
  readonly options: readonly (readonly [value: string, text: string])[];
}

export function SelectField({ label, hint, error, onValue, options, ...select }: SelectProps) {
  const id = useId();
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <select
        {...select}
        id={id}
        onChange={(event) => onValue(event.target.value)}
        {...described(id, hint, error)}
      >
        {options.map(([value, text]) => (
          <option key={value} value={value}>
            {text}
          </option>
        ))}
      </select>
      <Notes id={id} hint={hint} error={error} />
    </div>
  );
}

interface CheckProps extends FrameProps {
  readonly checked: boolean;
  readonly onValue: (checked: boolean) => void;
  readonly disabled?: boolean;
}

export function CheckField({ label, hint, error, checked, onValue, disabled }: CheckProps) {
  const id = useId();
  return (
    <div className="field check">
      <input
        type="checkbox"
        id={id}
        checked={checked}
        disabled={disabled}
        onChange={(event) => onValue(event.target.checked)}
        {...described(id, hint, error)}
      />
      <label htmlFor={id}>{label}</label>
      <Notes id={id} hint={hint} error={error} />
    </div>
  );
}

interface ChoicesProps {
  readonly label: string;
  readonly hint?: ReactNode;
  readonly options: readonly (readonly [value: string, text: string])[];
  readonly chosen: readonly string[];
  readonly onChosen: (chosen: string[]) => void;
}

/** Up to this many options need no search. */
const MANY = 40;

/** A choice of several entries of a list. */
export function Choices({ label, hint, options, chosen, onChosen }: ChoicesProps) {
  const id = useId();
  const [sought, setSought] = useState("");
  const text = sought.trim().toLowerCase();
  const shown = options.filter((option) =>
    option.some((each) => each.toLowerCase().includes(text)),
  );
  return (
    <fieldset className="choices" aria-describedby={hint === undefined ? undefined : `${id}-hint`}>
      <legend>{label}</legend>
      <Notes id={id} hint={hint} error={undefined} />
      {options.length > MANY && (
        <div className="choices-search field">
          <input
            type="search"
            aria-label={`Search: ${label}`}
            placeholder="Search"
            value={sought}
            onChange={(event) => setSought(event.target.value)}
            autoComplete="off"
            autoCapitalize="off"
            spellCheck={false}
          />
          <span className="hint" role="status">
            {chosen.length} of {options.length} chosen
          </span>
        </div>
      )}
      <div className="choices-list">
        {shown.map(([value, text]) => (
          <label key={value} className="choice">
            <input
              type="checkbox"
              checked={chosen.includes(value)}
              onChange={(event) =>
                onChosen(
                  event.target.checked
                    ? [...chosen, value]
                    : chosen.filter((each) => each !== value),
                )
              }
            />
            <span>{text}</span>
          </label>
        ))}
      </div>
    </fieldset>
  );
}

/** An error of the whole form. Screen readers read it at once. */
export function FormError({ error }: { error: Error | null | undefined }) {
  return (
    <div role="alert" className="form-error-place">
      {error && (
        <p className="form-error">
          <Icon name="warning" />
          <span>{describeError(error)}</span>
        </p>
      )}
    </div>
  );
}

export function describeError(error: Error): string {
  if (!(error instanceof ApiProblem)) return "Something went wrong on this page. Reload it.";
  const { retryAfterS } = error;
  if (error.status === 429 && retryAfterS !== undefined) {
    const when = retryAfterS < 90 ? `${retryAfterS} s` : `${Math.ceil(retryAfterS / 60)} minutes`;
    return `Too many tries. The next one counts in ${when}.`;
  }
  return error.message;
}

function described(id: string, hint: ReactNode, error: string | undefined) {
  const ids = [hint !== undefined && `${id}-hint`, error !== undefined && `${id}-error`].filter(
    Boolean,
  );
  return {
    "aria-describedby": ids.length === 0 ? undefined : ids.join(" "),
    "aria-invalid": error === undefined ? undefined : true,
  };
}

function Notes({ id, hint, error }: { id: string; hint?: ReactNode; error: string | undefined }) {
  return (
    <>
      {hint !== undefined && (
        <p className="hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
      {error !== undefined && (
        <p className="field-error" id={`${id}-error`} role="alert">
          {error}
        </p>
      )}
    </>
  );
}
