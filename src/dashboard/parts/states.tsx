// The states of lists and pages: loading, failed, empty; and badges for short states.
import type { ReactNode } from "react";
import { Button } from "./button.tsx";
import { describeError } from "./field.tsx";
import { Icon } from "./icon.tsx";

export function ErrorState({ error, retry }: { error: Error; retry: () => void }) {
  return (
    <div className="state" role="alert">
      <Icon name="warning" size={24} />
      <p className="state-title">This could not be loaded</p>
      <p>{describeError(error)}</p>
      <Button onClick={retry}>Try again</Button>
    </div>
  );
}

/** The same for small places, as in a dialog. */
export function ErrorNote({ error, retry }: { error: Error; retry: () => void }) {
  return (
    <Note tone="bad">
      <p role="alert">{describeError(error)}</p>
      <Button small onClick={retry}>
        Try again
      </Button>
    </Note>
  );
}

interface EmptyProps {
  readonly title: string;
  readonly children?: ReactNode;
  readonly action?: ReactNode;
}

export function EmptyState({ title, children, action }: EmptyProps) {
  return (
    <div className="state">
      <p className="state-title">{title}</p>
      {children !== undefined && <p>{children}</p>}
      {action}
    </div>
  );
}

interface MissingProps extends EmptyProps {
  readonly error: Error | null;
  readonly retry: () => void;
  readonly loading: boolean;
}

/** For a single thing that is loading, failed, or doesn't exist. */
export function Missing({ error, retry, loading, ...nothing }: MissingProps) {
  if (error === null && loading) {
    return (
      <div className="card form-card" aria-busy="true">
        <Skeleton width="20rem" />
      </div>
    );
  }
  return (
    <div className="card">
      {error === null ? <EmptyState {...nothing} /> : <ErrorState error={error} retry={retry} />}
    </div>
  );
}

/** A grey line in place of a text that is loading. */
export function Skeleton({ width = "60%" }: { width?: string }) {
  return <span className="skeleton" style={{ width }} aria-hidden="true" />;
}

type Tone = "good" | "bad" | "warn" | "plain";

export function Badge({ tone = "plain", children }: { tone?: Tone; children: ReactNode }) {
  return <span className={`badge ${tone}`}>{children}</span>;
}

/** A note on the page: a hint, a warning, or something to do. */
export function Note({ tone = "plain", children }: { tone?: Tone; children: ReactNode }) {
  return <div className={`note ${tone}`}>{children}</div>;
}
