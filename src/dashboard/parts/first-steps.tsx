// The steps of a new workspace until its first call. Each is ticked as soon as it is done.
import type { ReactNode } from "react";
import type { Overview } from "../../contract/client.ts";
import { PATHS } from "../paths.ts";
import { useMay } from "../session.tsx";
import { ButtonLink } from "./button.tsx";
import { Icon } from "./icon.tsx";
import { Section } from "./page.tsx";

type Steps = NonNullable<Overview["firstSteps"]>;

export function FirstSteps({ steps }: { steps: Steps }) {
  const mayAddKeys = useMay("admin");
  const mayDeploy = useMay("operator");
  return (
    <Section title="First steps">
      <ol className="card first-steps" aria-label="First steps" aria-live="polite">
        <Step
          done={steps.key}
          title="Add a provider’s key"
          action={mayAddKeys && <ButtonLink to={`${PATHS.secrets}?add`}>Add a key</ButtonLink>}
        >
          It is sealed at once, and agents never see it.
        </Step>
        <Step
          done={steps.agent}
          title="Deploy an agent"
          action={
            mayDeploy && <ButtonLink to={`${PATHS.agents}?deploy`}>Deploy an agent</ButtonLink>
          }
        >
          It gets a token in place of the key, and you what to set for it.
        </Step>
        <Step done={steps.call} title="Make its first call">
          {steps.key && steps.agent
            ? "Waiting for it: this page ticks it a few seconds after it came."
            : "With the base URL and the token that the deployment shows."}
        </Step>
      </ol>
    </Section>
  );
}

interface StepProps {
  readonly done: boolean;
  readonly title: string;
  /** The button for a step that isn't done. */
  readonly action?: ReactNode;
  readonly children: ReactNode;
}

function Step({ done, title, action, children }: StepProps) {
  return (
    <li className={done ? "done" : undefined}>
      <span className="step-mark" aria-hidden="true">
        {done && <Icon name="check" size={16} />}
      </span>
      <div>
        <p className="step-title">
          {title}
          {done && <span className="unseen">: done</span>}
        </p>
        {!done && <p className="muted">{children}</p>}
      </div>
      {!done && action}
    </li>
  );
}
