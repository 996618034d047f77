// The field of a new password, with its only rule.
import { useState } from "react";
import { Field } from "./field.tsx";

const LEAST = 12;

export function NewPasswordField(props: {
  label?: string;
  value: string;
  onValue: (value: string) => void;
}) {
  const { label = "Password", value, onValue } = props;
  const [left, setLeft] = useState(false);
  const missing = LEAST - Array.from(value).length;
  return (
    <Field
      label={label}
      type="password"
      autoComplete="new-password"
      minLength={LEAST}
      maxLength={1024}
      hint="12 characters or more. A few random words are a good choice."
      error={left && value !== "" && missing > 0 ? `${missing} more to go.` : undefined}
      value={value}
      onValue={onValue}
      onBlur={() => setLeft(true)}
      required
    />
  );
}
