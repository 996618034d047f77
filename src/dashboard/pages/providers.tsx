// Providers: the built-in ones, and the workspace's own additions. For admins.
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import type { Provider } from "../../contract/client.ts";
import { AffectedAgents } from "../parts/affected-agents.tsx";
import { Button } from "../parts/button.tsx";
import { DestructionDialog, Modal, useKept } from "../parts/dialog.tsx";
import { Field, FormError } from "../parts/field.tsx";
import { Icon } from "../parts/icon.tsx";
import { Section } from "../parts/page.tsx";
import { SettingsPage } from "../parts/settings-page.tsx";
import { Badge, EmptyState } from "../parts/states.tsx";
import { DataTable, type Column } from "../parts/table.tsx";
import { useSay } from "../parts/toasts.tsx";
import { useAllAgents, useProviders, useRefresh } from "../queries.ts";
import { useCall } from "../session.tsx";
import { number } from "../time.ts";

export function ProvidersPage() {
  const providers = useProviders();
  const [adding, setAdding] = useState(false);
  const [removed, setRemoved] = useState<Provider | undefined>();
  const columns: Column<Provider>[] = [
    {
      title: "Provider",
      kind: "main",
      cell: ({ name, title }) => (
        <>
          {title} {title !== name && <code className="muted">{name}</code>}
        </>
      ),
    },
    {
      title: "Calls go to",
      cell: ({ origin }) =>
        origin === null ? (
          <span className="muted">each key’s own origin</span>
        ) : (
          <span className="break">{origin}</span>
        ),
    },
    {
      title: "Key goes in",
      cell: ({ header, scheme }) => (
        <code className="nowrap">
          {header}: {scheme === "" ? "" : `${scheme} `}…
        </code>
      ),
    },
    {
      title: "Has a key in",
      cell: ({ environments }) =>
        environments.length === 0 ? (
          <span className="muted">none</span>
        ) : (
          <>
            <Names names={environments.slice(0, FEW)} />
            {environments.length > FEW && (
              <details className="hashes">
                <summary>and {number(environments.length - FEW)} more</summary>
                <Names names={environments.slice(FEW)} />
              </details>
            )}
          </>
        ),
    },
    {
      title: "Actions",
      kind: "actions",
      cell: (provider) =>
        provider.kind === "custom" && (
          <Button
            small
            onClick={() => setRemoved(provider)}
            aria-label={`Remove … ${provider.name}`}
          >
            Remove …
          </Button>
        ),
    },
  ];
  const of = (kind: Provider["kind"]) => ({
    ...providers,
    rows: providers.rows.filter((provider) => provider.kind === kind),
  });
  return (
    <SettingsPage title="Providers">
      <Section
        title="Your own"
        intro="Any other HTTPS origin that takes a key in a header, such as your gateway."
        actions={
          <Button kind="primary" onClick={() => setAdding(true)}>
            <Icon name="plus" /> Add a provider
          </Button>
        }
      >
        <DataTable
          label="Your own providers"
          columns={columns}
          list={of("custom")}
          rowKey={({ name }) => name}
          empty={<EmptyState title="None" />}
          loadingRows={1}
        />
      </Section>
      <Section title="Built in">
        <DataTable
          label="Built-in providers"
          columns={columns.filter(({ kind }) => kind !== "actions")}
          list={of("built-in")}
          rowKey={({ name }) => name}
          empty={<EmptyState title="None" />}
          loadingRows={10}
        />
      </Section>
      <AddDialog open={adding} providers={providers.rows} onClose={() => setAdding(false)} />
      <RemoveDialog provider={removed} onClose={() => setRemoved(undefined)} />
    </SettingsPage>
  );
}

/** How many environments the table shows; the others can be unfolded. */
const FEW = 8;

function Names({ names }: { names: readonly string[] }) {
  return (
    <span className="badges">
      {names.map((name) => (
        <Badge key={name} tone="good">
          {name}
        </Badge>
      ))}
    </span>
  );
}

interface AddProps {
  /** The existing providers. Saving an existing name changes that provider. */
  readonly providers: readonly Provider[];
  readonly onClose: () => void;
}

function AddDialog({ open, ...rest }: AddProps & { open: boolean }) {
  return (
    <Modal
      open={open}
      onClose={rest.onClose}
      title="Add a provider"
      description="Agents reach it at the proxy below its name. Its keys go to this origin alone, in this header: when either changes, save them again."
    >
      <AddForm {...rest} />
    </Modal>
  );
}

/** What has to be done after a provider was changed. */
const againText = ({ environments }: Provider): string =>
  environments.length === 0
    ? "It has no key yet."
    : `Unless all is as it was, save its keys again: ${environments.join(", ")}.`;

function AddForm({ providers, onClose }: AddProps) {
  const call = useCall();
  const say = useSay();
  const refresh = useRefresh();
  const [name, setName] = useState("");
  const [origin, setOrigin] = useState("");
  const [header, setHeader] = useState("authorization");
  const [scheme, setScheme] = useState("Bearer");
  const add = useMutation({
    mutationFn: () =>
      call("PUT /providers/:name", {
        params: { name: name.trim() },
        body: { origin: origin.trim(), header: header.trim(), scheme: scheme.trim() },
      }),
    onSuccess: async () => {
      const before = providers.find((it) => it.name === name.trim());
      await refresh("providers");
      onClose();
      if (before === undefined) say(`Added ${name.trim()}`, { text: "Now give it a key." });
      else say(`Changed ${before.name}`, { text: againText(before) });
    },
  });
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (!add.isPending) add.mutate();
      }}
    >
      <Field
        label="Name"
        pattern="[a-z0-9][a-z0-9\-]{0,62}"
        title="Lower-case letters, digits and dashes"
        autoCapitalize="off"
        autoComplete="off"
        value={name}
        onValue={setName}
        required
        data-initial-focus
      />
      <Field
        label="Origin"
        type="url"
        placeholder="https://llm.example.com"
        value={origin}
        onValue={setOrigin}
        required
      />
      <div className="fields-row">
        <Field label="Header" value={header} onValue={setHeader} autoCapitalize="off" required />
        <Field
          label="Scheme"
          hint="What stands before the key, if anything."
          value={scheme}
          onValue={setScheme}
        />
      </div>
      <FormError error={add.error} />
      <div className="dialog-actions">
        <Button onClick={onClose}>Cancel</Button>
        <Button kind="primary" type="submit" busy={add.isPending}>
          Add
        </Button>
      </div>
    </form>
  );
}

function RemoveDialog(props: { provider: Provider | undefined; onClose: () => void }) {
  const { onClose } = props;
  const provider = useKept(props.provider);
  const call = useCall();
  const say = useSay();
  const refresh = useRefresh();
  const agents = useAllAgents({ used: provider?.name ?? "" }, provider !== undefined);
  if (provider === undefined) return null;
  return (
    <DestructionDialog
      open={props.provider !== undefined}
      onClose={onClose}
      title={`Remove the provider ${provider.name}?`}
      consequences={
        <>
          <p>
            Calls to it are refused at once
            {provider.environments.length > 0 &&
              `, and its keys in ${provider.environments.join(", ")} are of no more use`}
            .
          </p>
          <AffectedAgents
            lists={[agents]}
            agents={agents.rows}
            none="No agent has used it."
            intro={(who) => `It was used by ${who}`}
            lastly="last at work"
          />
        </>
      }
      name={provider.name}
      action="Remove the provider"
      run={async () => {
        await call("DELETE /providers/:name", { params: { name: provider.name } });
        await refresh("providers", "secrets");
        say(`Removed ${provider.name}`);
      }}
    />
  );
}
