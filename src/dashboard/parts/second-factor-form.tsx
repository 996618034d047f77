// The two steps of a new second factor: scan, and type the code that the app shows.
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { useCall, useMe, useRememberMe } from "../session.tsx";
import { grouped, newSeed, otpauthUrl } from "../totp.ts";
import { Button } from "./button.tsx";
import { Field, FormError } from "./field.tsx";
import { QrCode } from "./qr-code.tsx";

export function SecondFactorForm({ onDone }: { onDone: (codes: readonly string[]) => void }) {
  const me = useMe();
  const call = useCall();
  const rememberMe = useRememberMe();
  const [seed] = useState(newSeed);
  const [code, setCode] = useState("");
  const enrol = useMutation({
    mutationFn: () =>
      call("PUT /me/second-factor", { body: { seed, code: code.replaceAll(" ", "") } }).then(
        ({ me: enrolled, recoveryCodes }) => ({ enrolled, recoveryCodes }),
      ),
    onSuccess: ({ enrolled, recoveryCodes }) => {
      onDone(recoveryCodes);
      rememberMe(enrolled);
    },
    onError: () => setCode(""),
  });
  return (
    <form
      className="enrolment"
      onSubmit={(event) => {
        event.preventDefault();
        if (!enrol.isPending) enrol.mutate();
      }}
    >
      <div className="enrolment-scan">
        <QrCode
          text={otpauthUrl(seed, me.name, me.workspace.name)}
          label="QR code of the new second factor"
        />
        <div>
          <p>
            Scan this with an authenticator app, or type this key into it. It was made in this
            browser and is not shown again.
          </p>
          <p>
            <code className="seed" data-testid="seed">
              {grouped(seed)}
            </code>
          </p>
        </div>
      </div>
      <Field
        label="The code that the app shows now"
        inputMode="numeric"
        autoComplete="one-time-code"
        pattern="[0-9 ]{6,7}"
        maxLength={7}
        value={code}
        onValue={setCode}
        required
      />
      <FormError error={enrol.error} />
      <div className="entry-actions">
        <Button kind="primary" type="submit" busy={enrol.isPending}>
          Turn it on
        </Button>
      </div>
    </form>
  );
}
