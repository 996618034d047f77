// Shown if a part of the dashboard failed: by a bug, or because a file could not be loaded.
import { Component, type ReactNode } from "react";
import { Button } from "./button.tsx";
import { Icon } from "./icon.tsx";

interface BoundaryProps {
  readonly children: ReactNode;
}

/** Confines a failure to its children. */
export class FailureBoundary extends Component<BoundaryProps, { readonly failed: boolean }> {
  override state = { failed: false };

  static getDerivedStateFromError(): { failed: boolean } {
    return { failed: true };
  }

  override render(): ReactNode {
    if (!this.state.failed) return this.props.children;
    return (
      <div className="card">
        <Failure />
      </div>
    );
  }
}

/** Shown if even the frame failed. */
export function BrokenPage() {
  return (
    <main className="entry">
      <h1 className="unseen">x3sproxy</h1>
      <Failure />
    </main>
  );
}

/** Reloads the page: only that loads the missing file again. */
function Failure() {
  return (
    <div className="state" role="alert">
      <Icon name="warning" size={24} />
      <p className="state-title">This part of the page could not be shown</p>
      <p>The service may be away, or newer than this page. Load the page anew.</p>
      <Button onClick={() => location.reload()}>Reload the page</Button>
    </div>
  );
}
