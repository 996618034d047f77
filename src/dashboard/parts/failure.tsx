// What stands where a part of the dashboard itself failed: a fault of ours, or a file of it that could not be loaded.
import { Component, type ReactNode } from "react";
import { Button } from "./button.tsx";
import { Icon } from "./icon.tsx";

interface BoundaryProps {
  readonly children: ReactNode;
}

/** Keeps a failure to what it is around. */
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

/** Where not even the frame could be shown. */
export function BrokenPage() {
  return (
    <main className="entry">
      <h1 className="unseen">x3sproxy</h1>
      <Failure />
    </main>
  );
}

/** What was loaded is gone with the page: only a new one loads the missing file again. */
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
