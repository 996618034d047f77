// The user's own account: password, second factor, recovery codes, sessions.
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import type { Session } from "../../contract/client.ts";
import { Button, ButtonLink } from "../parts/button.tsx";
import { DestructionDialog, Modal } from "../parts/dialog.tsx";
import { describeError, Field, FormError } from "../parts/field.tsx";
import { NewPasswordField } from "../parts/new-password.tsx";
import { Section } from "../parts/page.tsx";
import { RecoveryCodes } from "../parts/recovery-codes.tsx";
import { SettingsPage } from "../parts/settings-page.tsx";
import { Badge, EmptyState } from "../parts/states.tsx";
import { DataTable, type Column } from "../parts/table.tsx";
import { useSay } from "../parts/toasts.tsx";
import { AskBeforeLeaving } from "../parts/unsaved.tsx";
import { When } from "../parts/when.tsx";
import { PATHS } from "../paths.ts";
import { useRefresh, useSessions } from "../queries.ts";
import { useCall, useMe, useRememberMe } from "../session.tsx";
import { counted } from "../time.ts";
import { browserOf } from "../user-agent.ts";

export function ProfilePage() {
  return (
    <SettingsPage title="Profile">
      <PasswordSection />
      <SecondFactorSection />
      <SessionsSection />
    </SettingsPage>
  );
}

function PasswordSection() {
  const me = useMe();
  const call = useCall();
  const say = useSay();
  const refresh = useRefresh();
  const rememberMe = useRememberMe();
  const [current, setCurrent] = useState("");
  const [password, setPassword] = useState("");
  const change = useMutation({
    mutationFn: () =>
      call("PUT /me/password", { body: { current, password } }).then(({ me }) => me),
    onSuccess: async (changed) => {
      rememberMe(changed);
      setCurrent("");
      setPassword("");
      say("Password changed", { text: "Your other sessions have ended." });
      await refresh("sessions");
    },
  });
  return (
    <Section title="Password" intro="Changing it ends all your other sessions.">
      <form
        className="card form-card"
        onSubmit={(event) => {
          event.preventDefault();
          if (!change.isPending) change.mutate();
        }}
      >
        <input type="hidden" autoComplete="username" value={me.name} readOnly />
        <Field
          label="Current password"
          type="password"
          autoComplete="current-password"
          value={current}
          onValue={setCurrent}
          required
        />
        <NewPasswordField
          key={String(change.submittedAt)}
          label="New password"
          value={password}
          onValue={setPassword}
        />
        <FormError error={change.error} />
        <Button type="submit" busy={change.isPending}>
          Change the password
        </Button>
      </form>
    </Section>
  );
}

function SecondFactorSection() {
  const me = useMe();
  const call = useCall();
  const say = useSay();
  const rememberMe = useRememberMe();
  const [codes, setCodes] = useState<readonly string[]>([]);
  const [showing, setShowing] = useState(false);
  const renew = useMutation({
    mutationFn: () => call("POST /me/recovery-codes"),
    onSuccess: ({ recoveryCodes }) => {
      setCodes(recoveryCodes);
      setShowing(true);
    },
  });
  const [removing, setRemoving] = useState(false);
  const enrolled = me.secondFactor?.enrolled === true;
  const left = me.secondFactor?.recoveryCodesLeft ?? 0;
  return (
    <Section title="Second factor" intro="A code from an app on your phone, besides your password.">
      <div className="card form-card">
        <p>
          {enrolled ? <Badge tone="good">on</Badge> : <Badge tone="warn">off</Badge>}{" "}
          {enrolled && `${counted(left, "recovery code")} left.`}
          {!enrolled && "A stolen password alone opens everything that you may."}
        </p>
        <FormError error={renew.error} />
        <div className="buttons">
          {!enrolled && (
            <ButtonLink kind="primary" to={PATHS.enrolment}>
              Set it up
            </ButtonLink>
          )}
          {enrolled && (
            <>
              <ButtonLink to={PATHS.enrolment}>Set it up anew</ButtonLink>
              <Button busy={renew.isPending} onClick={() => renew.mutate()}>
                New recovery codes
              </Button>
              {!me.workspace.secondFactorRequired && (
                <Button kind="danger" onClick={() => setRemoving(true)}>
                  Turn it off …
                </Button>
              )}
            </>
          )}
        </div>
        {enrolled && me.workspace.secondFactorRequired && (
          <p className="hint">This workspace requires it.</p>
        )}
      </div>
      <DestructionDialog
        open={removing}
        onClose={() => setRemoving(false)}
        title="Turn the second factor off?"
        consequences={
          <p>Your password alone will open everything that you may. The recovery codes end, too.</p>
        }
        name={me.name}
        action="Turn it off"
        run={async () => {
          rememberMe((await call("DELETE /me/second-factor")).me);
          say("Second factor turned off");
        }}
      />
      <Modal
        open={showing}
        onClose={() => setShowing(false)}
        onClosed={() => setCodes([])}
        locked
        title="Your new recovery codes"
        description="The old ones no longer work."
      >
        <RecoveryCodes codes={codes} account={me.name} />
        <AskBeforeLeaving
          when={showing}
          title="Leave before you have kept them?"
          text="The codes are shown only once. Keep them before you leave."
        />
        <div className="dialog-actions">
          <Button kind="primary" onClick={() => setShowing(false)}>
            I have kept them
          </Button>
        </div>
      </Modal>
    </Section>
  );
}

function SessionsSection() {
  const call = useCall();
  const say = useSay();
  const refresh = useRefresh();
  const sessions = useSessions();
  const end = useMutation({
    mutationFn: (which: Pick<Session, "id"> | "others") =>
      which === "others"
        ? call("DELETE /me/sessions")
        : call("DELETE /me/sessions/:id", { params: { id: which.id } }),
    onSuccess: async () => {
      await refresh("sessions");
      say("Ended");
    },
    onError: (error) => say("Not ended", { text: describeError(error), bad: true }),
  });
  const columns: Column<Session>[] = [
    {
      title: "Where",
      kind: "main",
      cell: ({ userAgent, current }) => (
        <span title={userAgent ?? undefined}>
          {browserOf(userAgent)} {current && <Badge tone="good">this one</Badge>}
        </span>
      ),
    },
    { title: "Address", cell: ({ address }) => <code>{address ?? "–"}</code> },
    { title: "Signed in", cell: ({ createdAt }) => <When at={createdAt} /> },
    { title: "Last seen", cell: ({ lastSeenAt }) => <When at={lastSeenAt} /> },
    { title: "Ends", cell: ({ endsAt }) => <When at={endsAt} /> },
    {
      title: "Actions",
      kind: "actions",
      cell: ({ id, current, userAgent }) =>
        !current && (
          <Button
            small
            onClick={() => end.mutate({ id })}
            aria-label={`End the session of ${browserOf(userAgent)}`}
          >
            End
          </Button>
        ),
    },
  ];
  return (
    <Section
      title="Sessions"
      intro="Where you are signed in. A session ends after half an hour without use, and after 12 hours in any case."
      actions={
        sessions.rows.length > 1 && (
          <Button busy={end.isPending} onClick={() => end.mutate("others")}>
            End all others
          </Button>
        )
      }
    >
      <DataTable
        label="Sessions"
        columns={columns}
        list={sessions}
        rowKey={({ id }) => id}
        empty={<EmptyState title="No sessions" />}
        loadingRows={2}
      />
    </Section>
  );
}
