// The page of one-time links: the first user, an invitation, a reset. The token is in the URL's fragment, which browsers send to no server.
// It is removed from the address bar at once and kept only in memory.
import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useNavigate } from "react-router";
import type { Link } from "../../contract/client.ts";
import { Entry } from "../entry.tsx";
import { Button, ButtonLink } from "../parts/button.tsx";
import { Field, FormError } from "../parts/field.tsx";
import { NewPasswordField } from "../parts/new-password.tsx";
import { ErrorState, Skeleton } from "../parts/states.tsx";
import { PATHS } from "../paths.ts";
import { ROLE_TEXTS } from "../roles.ts";
import { useCall, useRememberMe } from "../session.tsx";

type Kind = Link["kind"];

type Accept = "POST /setup" | "POST /invitations/accept" | "POST /resets/accept";

const TEXTS: Readonly<Record<Kind, { title: string; route: Accept; action: string }>> = {
  setup: { title: "Make the first user", route: "POST /setup", action: "Make the user" },
  invitation: { title: "Accept the invitation", route: "POST /invitations/accept", action: "Join" },
  reset: {
    title: "Choose a new password",
    route: "POST /resets/accept",
    action: "Set the password",
  },
};

function takeToken(): string {
  const token = new URLSearchParams(location.hash.slice(1)).get("token") ?? "";
  // Keep the router's state and remove only the fragment.
  if (token !== "") history.replaceState(history.state, "", location.pathname);
  return token;
}

export function LinkPage({ kind }: { kind: Kind }) {
  const call = useCall();
  const [token] = useState(takeToken);
  const { title } = TEXTS[kind];
  const look = useQuery({
    queryKey: ["link", kind, token],
    enabled: token !== "",
    gcTime: 0,
    staleTime: Infinity,
    queryFn: () => call("POST /links/look", { body: { token } }),
  });
  if (token === "" || look.data?.kind === undefined) {
    return (
      <Entry title={title}>
        {token === "" ? (
          <>
            <p>This page needs the whole link, with what follows the #.</p>
            <ButtonLink to={PATHS.signIn}>Sign in instead</ButtonLink>
          </>
        ) : look.error ? (
          <BadLink error={look.error} retry={() => void look.refetch()} />
        ) : (
          <p>
            <Skeleton width="80%" />
          </p>
        )}
      </Entry>
    );
  }
  return <LinkForm kind={kind} token={token} link={look.data} />;
}

function BadLink({ error, retry }: { error: Error; retry: () => void }) {
  if (!("status" in error) || error.status !== 401)
    return <ErrorState error={error} retry={retry} />;
  return (
    <>
      <p>
        This link is no longer good: it was used, it is too old, or its end got lost. Ask whoever
        sent it for a new one.
      </p>
      <ButtonLink to={PATHS.signIn}>Sign in</ButtonLink>
    </>
  );
}

function LinkForm({ kind, token, link }: { kind: Kind; token: string; link: Link }) {
  const call = useCall();
  const rememberMe = useRememberMe();
  const navigate = useNavigate();
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const [code, setCode] = useState("");
  const needsCode = link.needsCode;
  const { title, route, action } = TEXTS[kind];
  const accept = useMutation({
    mutationFn: () =>
      call(route, {
        body: {
          ...{ token, password },
          ...(kind === "setup" && { email: email.trim() }),
          ...(needsCode && { code: code.trim() }),
        },
      }).then(({ me }) => me),
    onSuccess: (me) => {
      rememberMe(me);
      const enrolled = me.secondFactor?.enrolled === true;
      void navigate(enrolled ? PATHS.overview : `${PATHS.enrolment}?new`, { replace: true });
    },
    onError: () => setCode(""),
  });
  return (
    <Entry title={title} intro={<Intro kind={kind} link={link} />}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (!accept.isPending) accept.mutate();
        }}
      >
        {kind === "setup" ? (
          <Field
            label="E-mail"
            type="email"
            autoComplete="username"
            maxLength={254}
            value={email}
            onValue={setEmail}
            required
            autoFocus
          />
        ) : (
          <input type="hidden" autoComplete="username" value={link.email ?? ""} readOnly />
        )}
        <NewPasswordField value={password} onValue={setPassword} />
        {needsCode && (
          <Field
            label="Code"
            hint="The six digits that your authenticator app shows, or one of your recovery codes."
            autoComplete="one-time-code"
            autoCapitalize="off"
            spellCheck={false}
            maxLength={20}
            value={code}
            onValue={setCode}
            required
          />
        )}
        <FormError error={accept.error} />
        <div className="entry-actions">
          <Button kind="primary" type="submit" busy={accept.isPending}>
            {action}
          </Button>
        </div>
      </form>
    </Entry>
  );
}

function Intro({ kind, link }: { kind: Kind; link: Link }) {
  switch (kind) {
    case "setup":
      return <p>This user will own the workspace. The link that brought you here works once.</p>;
    case "invitation":
      return (
        <p>
          You join as <strong>{link.email}</strong>
          {link.role !== null && (
            <>
              , with the role <strong>{link.role}</strong>. {ROLE_TEXTS[link.role]}
            </>
          )}
        </p>
      );
    case "reset":
      return (
        <p>
          For <strong>{link.email}</strong>. Wherever you are signed in now, you will be signed out.
        </p>
      );
  }
}
