// Sign-in: e-mail and password, then the second factor's code if one is enrolled.
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { Navigate, useSearchParams } from "react-router";
import { ApiProblem } from "../api.ts";
import { Entry } from "../entry.tsx";
import { Button } from "../parts/button.tsx";
import { Field, FormError } from "../parts/field.tsx";
import { PATHS } from "../paths.ts";
import { deviceName } from "../session-secret.ts";
import { useCall, useRememberMe, useSession } from "../session.tsx";

export function SignInPage() {
  const call = useCall();
  const rememberMe = useRememberMe();
  const { data: me } = useSession();
  const [query] = useSearchParams();
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const [code, setCode] = useState("");
  const [codeAsked, setCodeAsked] = useState(false);
  const signIn = useMutation({
    mutationFn: () =>
      call("POST /sign-in", {
        body: {
          ...{ email: email.trim(), password, device: deviceName() },
          ...(codeAsked && { code: code.trim() }),
        },
      }).then(({ me }) => me),
    onSuccess: rememberMe,
    onError: (error) => {
      setCode("");
      if (error instanceof ApiProblem && error.code === "second_factor_needed") setCodeAsked(true);
    },
  });
  if (me) return <Navigate to={wantedPath(query.get("to"))} replace />;
  if (isPlainOverNetwork(location)) return <HttpsNeeded />;

  const asksForCode =
    signIn.error instanceof ApiProblem && signIn.error.code === "second_factor_needed";
  const startOver = () => {
    setCodeAsked(false);
    setPassword("");
    signIn.reset();
  };
  return (
    <Entry title={codeAsked ? "Enter your code" : "Sign in"}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (!signIn.isPending) signIn.mutate();
        }}
      >
        {codeAsked ? (
          <Field
            key="code"
            label="Code"
            hint="The six digits that your authenticator app shows, or one of your recovery codes."
            autoComplete="one-time-code"
            autoCapitalize="off"
            spellCheck={false}
            maxLength={20}
            value={code}
            onValue={setCode}
            required
            autoFocus
          />
        ) : (
          <>
            <Field
              key="email"
              label="E-mail"
              type="email"
              autoComplete="username"
              maxLength={254}
              value={email}
              onValue={setEmail}
              required
              autoFocus
            />
            <Field
              key="password"
              label="Password"
              type="password"
              autoComplete="current-password"
              maxLength={1024}
              value={password}
              onValue={setPassword}
              required
            />
          </>
        )}
        <FormError error={asksForCode ? null : signIn.error} />
        <div className="entry-actions">
          <Button kind="primary" type="submit" busy={signIn.isPending}>
            Sign in
          </Button>
          {codeAsked && (
            <Button kind="quiet" onClick={startOver}>
              Start over
            </Button>
          )}
        </div>
      </form>
      {!codeAsked && (
        <p className="muted entry-foot">
          Lost your password or your second factor? An owner of the workspace can send you a link.
        </p>
      )}
    </Entry>
  );
}

/** Shown in place of the form if the password would cross the network unencrypted. The service would refuse it, too. */
function HttpsNeeded() {
  return (
    <Entry title="Sign in over https">
      <p>
        This page came over plain http. A password typed here could be read on its way, so nobody
        can sign in like this.
      </p>
      <p>
        Whoever runs the service can give it a certificate (<code>X3SPROXY_TLS_CERT_FILE</code> and{" "}
        <code>X3SPROXY_TLS_KEY_FILE</code>), or put a TLS proxy in front of it and set{" "}
        <code>X3SPROXY_DASHBOARD_URL</code> to its https URL.
      </p>
    </Entry>
  );
}

function isPlainOverNetwork({ protocol, hostname }: Location): boolean {
  return protocol === "http:" && !/^(?:localhost|127(?:\.\d+){3}|\[::1\])$/.test(hostname);
}

/** Where to go after sign-in: the requested path if it belongs to this site, else the first page. */
function wantedPath(to: string | null): string {
  if (to === null) return PATHS.overview;
  const url = URL.parse(to, location.origin);
  if (url?.origin !== location.origin || url.pathname === PATHS.signIn) return PATHS.overview;
  return url.pathname + url.search;
}
