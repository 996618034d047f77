// A list of short texts, a row each: Enter makes the next one, several lines that are pasted become several rows.
import { useEffect, useId, useRef, type ClipboardEvent, type KeyboardEvent } from "react";
import { Button, IconButton } from "./button.tsx";
import { Icon } from "./icon.tsx";

interface ListEditorProps {
  /** What the list holds. */
  readonly label: string;
  /** What one row holds: its accessible name, with its number. */
  readonly item: string;
  readonly values: readonly string[];
  readonly onValues: (values: string[]) => void;
  readonly placeholder?: string;
  /** The pattern of a row, and the same in words. */
  readonly pattern?: string;
  readonly patternText?: string;
  /** The ids of its hint and its error. */
  readonly describedBy?: string | undefined;
  readonly invalid?: boolean;
}

export function ListEditor(props: ListEditorProps) {
  const { label, item, onValues, describedBy, invalid = false } = props;
  const id = useId();
  const list = useRef<HTMLDivElement>(null);
  const wanted = useRef<number | undefined>(undefined);
  const rows = props.values.length === 0 ? [""] : props.values;
  useEffect(() => {
    if (wanted.current === undefined) return;
    const inputs = list.current?.querySelectorAll("input");
    inputs?.[Math.min(wanted.current, inputs.length - 1)]?.focus();
    wanted.current = undefined;
  });
  /** Replaces `count` rows from `at` on. Row `focused` gets the focus. */
  const change = (at: number, count: number, texts: readonly string[], focused?: number) => {
    wanted.current = focused;
    onValues(rows.toSpliced(at, count, ...texts));
  };
  const onKeyDown = (event: KeyboardEvent, at: number) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    if (rows[at] !== "") change(at + 1, 0, [""], at + 1);
  };
  const onPaste = (event: ClipboardEvent, at: number) => {
    const lines = event.clipboardData
      .getData("text")
      .split(/\r?\n/)
      .map((line) => line.trim())
      .filter((line) => line !== "");
    if (lines.length < 2) return;
    event.preventDefault();
    const before = rows[at] === "" ? [] : rows.slice(at, at + 1);
    change(at, 1, [...before, ...lines], at + before.length + lines.length - 1);
  };
  return (
    <fieldset className="list-editor" aria-describedby={describedBy}>
      <legend className="unseen">{label}</legend>
      <div className="list-rows" ref={list}>
        {rows.map((value, at) => (
          <div key={at} className="list-row field">
            <input
              type="text"
              id={`${id}-${at}`}
              aria-label={`${item} ${at + 1}`}
              aria-describedby={describedBy}
              aria-invalid={invalid || undefined}
              value={value}
              placeholder={at === 0 ? props.placeholder : undefined}
              pattern={props.pattern}
              title={props.patternText}
              autoComplete="off"
              autoCapitalize="off"
              spellCheck={false}
              onChange={(event) => change(at, 1, [event.target.value])}
              onKeyDown={(event) => onKeyDown(event, at)}
              onPaste={(event) => onPaste(event, at)}
            />
            <IconButton
              label={`Take away ${item.toLowerCase()} ${at + 1}`}
              onClick={() => change(at, 1, [], at)}
            >
              <Icon name="close" size={16} />
            </IconButton>
          </div>
        ))}
      </div>
      <Button small onClick={() => change(rows.length, 0, [""], rows.length)}>
        <Icon name="plus" size={15} /> Add
        <span className="unseen"> one more {item.toLowerCase()}</span>
      </Button>
    </fieldset>
  );
}
