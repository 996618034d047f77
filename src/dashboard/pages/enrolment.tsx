// Enrolling a second factor: a seed made here, scanned or typed into an app, proved by a code; then the recovery codes.
import { useState } from "react";
import { Link, useNavigate, useSearchParams } from "react-router";
import { Entry } from "../entry.tsx";
import { SecondFactorForm } from "../parts/second-factor-form.tsx";
import { Button } from "../parts/button.tsx";
import { RecoveryCodes } from "../parts/recovery-codes.tsx";
import { PATHS } from "../paths.ts";
import { useMe } from "../session.tsx";

export function EnrolmentPage() {
  const me = useMe();
  const navigate = useNavigate();
  const [query] = useSearchParams();
  const [codes, setCodes] = useState<readonly string[] | undefined>();
  if (codes !== undefined) {
    return (
      <Entry wide title="Keep your recovery codes">
        <RecoveryCodes codes={codes} account={me.name} />
        <div className="entry-actions">
          <Button kind="primary" onClick={() => void navigate(PATHS.overview, { replace: true })}>
            I have kept them
          </Button>
        </div>
      </Entry>
    );
  }
  return (
    <Entry
      wide
      title="Set up a second factor"
      intro={
        <p>
          {me.mustEnrol
            ? "This workspace asks for a second factor: a code from an app on your phone, besides your password."
            : "A code from an app on your phone, besides your password: a stolen password alone opens nothing then."}
        </p>
      }
    >
      <SecondFactorForm onDone={setCodes} />
      {!me.mustEnrol && (
        <p className="entry-foot">
          <Link to={query.has("new") ? PATHS.overview : PATHS.profile}>
            {query.has("new") ? "Not now: go to the dashboard" : "Back to the settings"}
          </Link>
        </p>
      )}
    </Entry>
  );
}
