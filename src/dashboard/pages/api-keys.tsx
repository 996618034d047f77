// API keys: for programs that use the REST API. For owners.
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import type { ApiKey } from "../../contract/client.ts";
import { Button } from "../parts/button.tsx";
import { CopyLine } from "../parts/copy.tsx";
import { DestructionDialog, useKept } from "../parts/dialog.tsx";
import { Field, FormError, SelectField } from "../parts/field.tsx";
import { Icon } from "../parts/icon.tsx";
import { OnceDialog } from "../parts/once-dialog.tsx";
import { Page } from "../parts/page.tsx";
import { RoleFields, RoleText, type Rights } from "../parts/role-fields.tsx";
import { Badge, EmptyState } from "../parts/states.tsx";
import { DataTable, type Column } from "../parts/table.tsx";
import { useSay } from "../parts/toasts.tsx";
import { sent } from "../parts/user-actions.tsx";
import { When } from "../parts/when.tsx";
import { useApiKeys, useRefresh } from "../queries.ts";
import { useCall } from "../session.tsx";
import { number, useNowMs } from "../time.ts";

export function ApiKeysPage() {
  const nowMs = useNowMs();
  const keys = useApiKeys();
  const [making, setMaking] = useState(false);
  const [deleted, setDeleted] = useState<ApiKey | undefined>();
  const columns: Column<ApiKey>[] = [
    {
      title: "Key",
      kind: "main",
      cell: ({ name, expiresAt }) => (
        <>
          <span className="break">{name}</span>{" "}
          {expiresAt !== null && Date.parse(expiresAt) <= nowMs && <Badge tone="bad">ended</Badge>}
        </>
      ),
    },
    { title: "Role", cell: RoleText },
    { title: "Last used", cell: ({ lastUsedAt }) => <When at={lastUsedAt} /> },
    { title: "Ends", cell: ({ expiresAt }) => <When at={expiresAt} /> },
    {
      title: "Only from",
      cell: ({ allowedAddresses }) =>
        allowedAddresses.length === 0 ? (
          <span className="muted">anywhere</span>
        ) : (
          <code className="break">{allowedAddresses.join(", ")}</code>
        ),
    },
    {
      title: "A minute",
      kind: "number",
      cell: ({ requestsPerMinute }) =>
        requestsPerMinute === null ? (
          <span className="muted">no limit</span>
        ) : (
          number(requestsPerMinute)
        ),
    },
    {
      title: "Actions",
      kind: "actions",
      cell: (key) => (
        <Button small onClick={() => setDeleted(key)} aria-label={`Delete … ${key.name}`}>
          Delete …
        </Button>
      ),
    },
  ];
  return (
    <Page
      title="API keys"
      intro="For programs: pipelines, Terraform, the command line on another machine. Agents get tokens instead."
      actions={
        <Button kind="primary" onClick={() => setMaking(true)}>
          <Icon name="plus" /> Make a key
        </Button>
      }
    >
      <DataTable
        label="API keys"
        columns={columns}
        list={keys}
        rowKey={({ id }) => id}
        empty={<EmptyState title="No API keys">People don’t need any: they sign in.</EmptyState>}
      />
      <ApiKeyDialog open={making} onClose={() => setMaking(false)} />
      <DeleteKeyDialog apiKey={deleted} onClose={() => setDeleted(undefined)} />
    </Page>
  );
}

function ApiKeyDialog({ open, onClose }: { open: boolean; onClose: () => void }) {
  return (
    <OnceDialog<string>
      open={open}
      onClose={onClose}
      title="Make an API key"
      form={(onMade) => <ApiKeyForm onCancel={onClose} onMade={onMade} />}
      shown={(key) => ({
        title: "The API key is ready",
        description:
          "Send it as “Authorization: Bearer …”. It is shown only now; only a hash of it is kept.",
        content: <CopyLine text={key} what="API key" />,
      })}
    />
  );
}

const LIVES = [
  ["2592000", "30 days"],
  ["7776000", "90 days"],
  ["31536000", "1 year"],
  ["", "without end"],
] as const;

function ApiKeyForm(props: { onCancel: () => void; onMade: (key: string) => void }) {
  const call = useCall();
  const refresh = useRefresh();
  const [name, setName] = useState("");
  const [rights, setRights] = useState<Rights>({ role: "viewer", agents: null });
  const [life, setLife] = useState("7776000");
  const [addresses, setAddresses] = useState("");
  const [perMinute, setPerMinute] = useState("");
  const make = useMutation({
    mutationFn: () =>
      call("POST /api-keys", {
        body: {
          name: name.trim(),
          ...sent(rights),
          expiresInSeconds: life === "" ? null : Number(life),
          allowedAddresses: addresses.split(/[\s,]+/).filter((each) => each !== ""),
          ...(perMinute !== "" && { requestsPerMinute: Number(perMinute) }),
        },
      }),
    onSuccess: ({ key }) => {
      props.onMade(key);
      void refresh("api-keys");
    },
  });
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (!make.isPending) make.mutate();
      }}
    >
      <Field
        label="Name"
        hint="What will use it."
        maxLength={100}
        autoComplete="off"
        value={name}
        onValue={setName}
        required
        data-initial-focus
      />
      <RoleFields rights={rights} onRights={setRights} />
      <SelectField label="It lives" options={LIVES} value={life} onValue={setLife} />
      <Field
        label="Only from these addresses"
        hint="Optional: address blocks, as in 10.0.0.0/8, with commas between them."
        autoComplete="off"
        value={addresses}
        onValue={setAddresses}
      />
      <Field
        label="Requests a minute at most"
        hint="Optional."
        type="number"
        min={1}
        max={100_000}
        value={perMinute}
        onValue={setPerMinute}
      />
      <FormError error={make.error} />
      <div className="dialog-actions">
        <Button onClick={props.onCancel}>Cancel</Button>
        <Button kind="primary" type="submit" busy={make.isPending}>
          Make the key
        </Button>
      </div>
    </form>
  );
}

function DeleteKeyDialog(props: { apiKey: ApiKey | undefined; onClose: () => void }) {
  const { onClose } = props;
  const apiKey = useKept(props.apiKey);
  const call = useCall();
  const say = useSay();
  const refresh = useRefresh();
  if (apiKey === undefined) return null;
  return (
    <DestructionDialog
      open={props.apiKey !== undefined}
      onClose={onClose}
      title={`Delete the API key ${apiKey.name}?`}
      consequences={
        <p>
          Whatever uses it is refused from now on.{" "}
          {apiKey.lastUsedAt === null ? (
            "It has never been used."
          ) : (
            <>
              It was last used <When at={apiKey.lastUsedAt} />.
            </>
          )}
        </p>
      }
      name={apiKey.name}
      action="Delete the key"
      run={async () => {
        await call("DELETE /api-keys/:id", { params: { id: apiKey.id } });
        await refresh("api-keys");
        say(`Deleted ${apiKey.name}`);
      }}
    />
  );
}
