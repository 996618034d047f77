// One event of the audit with all of its fields, and the proof that it is in the signed log.
import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef, useState, type ReactNode } from "react";
import type { AuditEvent } from "../../contract/client.ts";
import { useCall } from "../session.tsx";
import { exactTime } from "../time.ts";
import { Button } from "./button.tsx";
import { CodeBlock } from "./copy.tsx";
import { Modal, useKept } from "./dialog.tsx";
import { Facts } from "./facts.tsx";
import { Icon } from "./icon.tsx";
import { saveFile } from "./save-file.ts";
import { Badge, ErrorNote, Skeleton } from "./states.tsx";

interface EventDialogProps {
  readonly event: AuditEvent | undefined;
  readonly onClose: () => void;
}

export function EventDialog(props: EventDialogProps) {
  const event = useKept(props.event);
  const [view, setView] = useState<"details" | "proof" | "details again">("details");
  const proving = view === "proof";
  if (event === undefined) return null;
  return (
    <Modal
      open={props.event !== undefined}
      onClose={props.onClose}
      onClosed={() => setView("details")}
      size="large"
      title={proving ? `Proof of ${event.action}` : event.action}
      description={exactTime(event.at)}
    >
      {proving ? (
        <Proof event={event} onBack={() => setView("details again")} />
      ) : (
        <Details
          event={event}
          focusProof={view === "details again"}
          onProof={() => setView("proof")}
        />
      )}
    </Modal>
  );
}

interface DetailsProps {
  readonly event: AuditEvent;
  /** Where the focus was before the proof was shown. */
  readonly focusProof: boolean;
  readonly onProof: () => void;
}

function Details({ event, focusProof, onProof }: DetailsProps) {
  const button = useFocusOnce(focusProof);
  const { actor, target, index } = event;
  const facts: readonly (readonly [string, ReactNode])[] = [
    ["Who", <Whole key="" event={event} part="actor" />],
    ["Who, by id", actor.id ?? "–"],
    ["From", event.address ?? "–"],
    ["Proved by", event.method.replace("_", " ")],
    ["On what", <Whole key="" event={event} part="target" />],
    ["On what, by id", target.id === "" ? "–" : target.id],
    ["Result", <ResultBadge key="" result={event.result} />],
    ...Object.entries(detailOf(event)).map(([name, value]) => [name, String(value)] as const),
    ...hashesOf(event),
    ["Event", event.id],
    ["In the signed log", index === null ? "in a moment" : `number ${index}`],
  ];
  return (
    <>
      <Facts className="event-facts" facts={facts} />
      <div className="dialog-actions">
        {index === null ? (
          <p className="muted push-left">A proof can be had once it is sealed, in a second.</p>
        ) : (
          <Button kind="primary" ref={button} onClick={onProof}>
            Proof
          </Button>
        )}
      </div>
    </>
  );
}

function Proof({ event, onBack }: { event: AuditEvent; onBack: () => void }) {
  const call = useCall();
  const back = useFocusOnce(true);
  const { data, error, refetch } = useQuery({
    queryKey: ["audit-proof", event.id],
    queryFn: ({ signal }) =>
      call("GET /audit/:event/proof", { params: { event: event.id }, signal }),
    gcTime: 0,
    retry: false,
  });
  const text = data && JSON.stringify(data, null, 2);
  return (
    <>
      {error !== null && <ErrorNote error={error} retry={() => void refetch()} />}
      {error === null && data === undefined && (
        <p aria-busy="true">
          <Skeleton width="60%" />
        </p>
      )}
      {data !== undefined && text !== undefined && (
        <div className="proof-parts">
          <p>
            The event, its number {data.index} among {data.size} from 0, the hashes that lead from
            it to the root (RFC 6962), and the signed checkpoint that has this root.
          </p>
          <CodeBlock text={text} what="proof" />
          <p>An export of this event alone carries the same proof. To verify it offline:</p>
          <CodeBlock text={commandsFor(event, data.verifierKey)} what="commands" />
        </div>
      )}
      <div className="dialog-actions">
        <Button ref={back} onClick={onBack}>
          Back
        </Button>
        {text !== undefined && (
          <Button
            kind="primary"
            onClick={() => saveFile(`x3sproxy-audit-proof-${event.id}.json`, text)}
          >
            <Icon name="download" size={16} /> Download the proof
          </Button>
        )}
      </div>
    </>
  );
}

/** Moves the focus: the element that had it went away with the previous view. */
function useFocusOnce(wanted: boolean) {
  const button = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (wanted) button.current?.focus();
  }, [wanted]);
  return button;
}

/** Times are stored in µs and shown in ms. The range of that millisecond. */
function commandsFor(event: AuditEvent, verifierKey: string): string {
  const to = new Date(Date.parse(event.at) + 1).toISOString();
  return [
    `npx x3sproxy audit export --action ${event.action} \\`,
    `  --from ${event.at} --to ${to} --output event.jsonl`,
    `npx x3sproxy audit verify event.jsonl \\`,
    `  --key ${verifierKey}`,
  ].join("\n");
}

/** The name of the actor or target, or that it was erased. */
export function Party({ event, part }: { event: AuditEvent; part: "actor" | "target" }) {
  if (event.erased.includes(part)) return <em className="muted">erased on request</em>;
  const { name, id } = event[part];
  const shown = [name, id].find((each) => each !== null && each !== "");
  return <span className="break">{shown ?? (part === "actor" ? "nobody" : "–")}</span>;
}

/** The same, with the kind. */
function Whole({ event, part }: { event: AuditEvent; part: "actor" | "target" }) {
  const { kind } = event[part];
  return (
    <>
      <Party event={event} part={part} />
      <span className="muted"> ({kind.replace("_", " ")})</span>
    </>
  );
}

/** An event's further fields. Empty if there are none, or in an unknown form. */
export function detailOf({ detail }: AuditEvent): Readonly<Record<string, unknown>> {
  try {
    const parsed: unknown = JSON.parse(detail ?? "{}");
    return typeof parsed === "object" && parsed !== null ? { ...parsed } : {};
  } catch {
    return {};
  }
}

export function ResultBadge({ result }: { result: string }) {
  return <Badge tone={toneOf(result)}>{result}</Badge>;
}

/** Refusals and failures are bad. A result that is neither one nor a success says how it happened, as in `unused` or `provider openai`. */
function toneOf(result: string): "good" | "bad" | "plain" {
  if (/^(done|accepted)$/.test(result)) return "good";
  const bad =
    /^(refused|password_wrong|code_wrong|too_many_attempts|failed|unreachable|unexpected)$/;
  return bad.test(result) ? "bad" : "plain";
}

/** Only older events have them. */
function hashesOf({ beforeHash, afterHash }: AuditEvent): (readonly [string, ReactNode])[] {
  const hashes = [["Hash before", beforeHash] as const, ["Hash after", afterHash] as const];
  return hashes.flatMap(([name, hash]) =>
    hash === null
      ? []
      : [
          [
            name,
            <code key="" className="break">
              {hash}
            </code>,
          ] as const,
        ],
  );
}
