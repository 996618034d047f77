// One part of a scope in a form: its description, a switch between "not limited" and a limit, and the limit.
import { useEffect, useId, useRef, type ReactNode } from "react";
import type { ListDraft } from "../scope-draft.ts";
import { ListEditor } from "./list-editor.tsx";
import { Segments } from "./segments.tsx";

interface ScopePartProps {
  readonly title: string;
  readonly hint: ReactNode;
  readonly limited: boolean;
  readonly onLimited: (limited: boolean) => void;
  /** The two positions of the switch. */
  readonly options?: readonly [unlimited: string, limited: string];
  readonly error?: string | undefined;
  /** Shown below the switch in both positions. */
  readonly help?: ReactNode;
  /** Shown while it is limited. */
  readonly children: ReactNode;
}

export function ScopePart(props: ScopePartProps) {
  const { title, limited, onLimited, options = ["Not limited", "Only these"], error } = props;
  return (
    <ScopeRow title={title} hint={props.hint}>
      <Segments
        label={title}
        options={[
          ["all", options[0]],
          ["some", options[1]],
        ]}
        value={limited ? "some" : "all"}
        onValue={(value) => onLimited(value === "some")}
      />
      {props.help}
      {limited && <div className="scope-limit">{props.children}</div>}
      {error !== undefined && <PartError>{error}</PartError>}
    </ScopeRow>
  );
}

/** Scrolls into view: the pressed button may be far away. */
function PartError({ children }: { children: string }) {
  const shown = useRef<HTMLParagraphElement>(null);
  useEffect(() => {
    shown.current?.scrollIntoView({ block: "center" });
  }, [children]);
  return (
    <p className="field-error" role="alert" ref={shown}>
      {children.charAt(0).toUpperCase() + children.slice(1)}
    </p>
  );
}

/** A part's title beside its controls, or above them where it is narrow. */
export function ScopeRow(props: { title: string; hint: ReactNode; children: ReactNode }) {
  const id = useId();
  return (
    <section className="scope-part" aria-labelledby={id}>
      <div>
        <h2 id={id}>{props.title}</h2>
        <p className="hint">{props.hint}</p>
      </div>
      <div>{props.children}</div>
    </section>
  );
}

interface ListPartProps {
  readonly title: string;
  readonly hint: ReactNode;
  readonly item: string;
  readonly placeholder: string;
  readonly pattern: string;
  readonly patternText: string;
  readonly draft: ListDraft;
  readonly onDraft: (draft: ListDraft) => void;
  readonly error: string | undefined;
  readonly help?: ReactNode;
}

/** A part whose limit is a list of texts. */
export function ListPart(props: ListPartProps) {
  const { title, draft, onDraft, error } = props;
  return (
    <ScopePart
      title={title}
      hint={props.hint}
      limited={draft.limited}
      onLimited={(limited) => onDraft({ ...draft, limited })}
      error={error}
      help={props.help}
    >
      <ListEditor
        label={`${title}: only these`}
        item={props.item}
        placeholder={props.placeholder}
        pattern={props.pattern}
        patternText={props.patternText}
        invalid={error !== undefined}
        values={draft.values}
        onValues={(values) => onDraft({ ...draft, values })}
      />
    </ScopePart>
  );
}
