// An agent's registration tokens: made here, traded by its container for its token, and revoked.
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import type { Agent, AnswerOf, Provider, Registration } from "../../contract/client.ts";
import { useRefresh, useRegistrations } from "../queries.ts";
import { useCall, useMay } from "../session.tsx";
import { Button } from "./button.tsx";
import { CodeBlock, CopyLine } from "./copy.tsx";
import { describeError, FormError, SelectField } from "./field.tsx";
import { OnceDialog } from "./once-dialog.tsx";
import { Section } from "./page.tsx";
import { EmptyState } from "./states.tsx";
import { DataTable, type Column } from "./table.tsx";
import { useSay } from "./toasts.tsx";
import { When } from "./when.tsx";

interface RegistrationsProps {
  readonly agent: Agent;
  readonly providers: readonly Provider[];
}

export function Registrations({ agent, providers }: RegistrationsProps) {
  const mayMake = useMay("operator");
  const registrations = useRegistrations(agent.name);
  const publicUrl = publicUrlOf(providers);
  const [making, setMaking] = useState(false);
  const columns: Column<Registration>[] = [
    { title: "Made", kind: "main", cell: ({ createdAt }) => <When at={createdAt} /> },
    { title: "By", cell: ({ createdBy }) => <span className="break">{createdBy}</span> },
    { title: "Ends", cell: ({ expiresAt }) => <When at={expiresAt} /> },
    {
      title: "Actions",
      kind: "actions",
      cell: (registration) => mayMake && <RevokeButton agent={agent} registration={registration} />,
    },
  ];
  return (
    <Section
      title="Registrations"
      intro="Traded once, where the agent runs: no image and no log holds its real token."
      actions={
        mayMake && (
          <Button small onClick={() => setMaking(true)}>
            Make a registration token
          </Button>
        )
      }
    >
      <div className="narrow-table">
        <DataTable
          label="Registrations"
          columns={columns}
          list={registrations}
          rowKey={({ id }) => id}
          empty={<EmptyState title="None is open" />}
          loadingRows={1}
        />
      </div>
      <OnceDialog<AnswerOf<"POST /agents/:name/registrations">>
        open={making}
        onClose={() => setMaking(false)}
        title="Make a registration token"
        description={`Whoever trades it gets the token of ${agent.name}; the one that the agent has now ends then.`}
        form={(onMade) => (
          <RegistrationForm agent={agent} onCancel={() => setMaking(false)} onMade={onMade} />
        )}
        shown={({ token, registration }) => ({
          title: "The registration token is ready",
          description: (
            <>
              It works once, and ends <When at={registration.expiresAt} />. It is shown only now;
              only a hash of it is kept.
            </>
          ),
          size: "large",
          content: (
            <>
              <CopyLine text={token} what="registration token" />
              <p className="dialog-text">
                Where the agent runs, this trades it and keeps the agent’s token in a file:
              </p>
              <CodeBlock text={commandOf(token, publicUrl)} what="command" />
            </>
          ),
        })}
      />
    </Section>
  );
}

const LIVES = [
  ["600", "10 minutes"],
  ["3600", "1 hour"],
  ["21600", "6 hours"],
  ["86400", "24 hours"],
] as const;

interface FormProps {
  readonly agent: Agent;
  readonly onCancel: () => void;
  readonly onMade: (made: AnswerOf<"POST /agents/:name/registrations">) => void;
}

function RegistrationForm({ agent, onCancel, onMade }: FormProps) {
  const call = useCall();
  const refresh = useRefresh();
  const [life, setLife] = useState("3600");
  const make = useMutation({
    mutationFn: () =>
      call("POST /agents/:name/registrations", {
        params: { name: agent.name },
        body: { expiresInSeconds: Number(life) },
      }),
    onSuccess: (made) => {
      onMade(made);
      void refresh("agents");
    },
  });
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (!make.isPending) make.mutate();
      }}
    >
      <SelectField
        label="It is good for"
        hint="As long as it takes until the agent is up."
        value={life}
        onValue={setLife}
        options={LIVES}
        data-initial-focus
      />
      <FormError error={make.error} />
      <div className="dialog-actions">
        <Button onClick={onCancel}>Cancel</Button>
        <Button kind="primary" type="submit" busy={make.isPending}>
          Make it
        </Button>
      </div>
    </form>
  );
}

function RevokeButton({ agent, registration }: { agent: Agent; registration: Registration }) {
  const call = useCall();
  const say = useSay();
  const refresh = useRefresh();
  const revoke = useMutation({
    mutationFn: () =>
      call("DELETE /agents/:name/registrations/:id", {
        params: { name: agent.name, id: registration.id },
      }),
    onSuccess: async () => {
      await refresh("agents");
      say("Revoked", { text: "The registration token no longer works." });
    },
    onError: (error) => say("Not revoked", { text: describeError(error), bad: true }),
  });
  return (
    <Button small busy={revoke.isPending} onClick={() => revoke.mutate()}>
      Revoke
      <span className="unseen"> the one made {registration.createdAt}</span>
    </Button>
  );
}

/** To run where the agent runs. `publicUrl`: where agents reach the proxy, as a provider's base URL begins. */
const commandOf = (token: string, publicUrl: string): string =>
  `export X3SPROXY_REGISTRATION_TOKEN=${token}
x3sproxy register --token-file token --url ${publicUrl}`;

function publicUrlOf(providers: readonly Provider[]): string {
  const [first] = providers;
  return first === undefined ? "<the proxy’s URL>" : first.baseUrl.slice(0, -first.name.length - 1);
}
