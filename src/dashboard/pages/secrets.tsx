// Secrets: the real keys by provider and environment. A value goes in; afterwards only its mask is shown.
import { useState } from "react";
import { Link, useSearchParams } from "react-router";
import type { Provider, Secret } from "../../contract/client.ts";
import { Button } from "../parts/button.tsx";
import { useKept } from "../parts/dialog.tsx";
import { Icon } from "../parts/icon.tsx";
import { Page } from "../parts/page.tsx";
import { NothingFound, Search, useSought } from "../parts/search.tsx";
import { DeleteSecretDialog, TestButton } from "../parts/secret-actions.tsx";
import { SecretDialog } from "../parts/secret-dialog.tsx";
import { DueBadge, Misplaced, Refused } from "../parts/secret-state.tsx";
import { EmptyState, Note } from "../parts/states.tsx";
import { DataTable, type Column } from "../parts/table.tsx";
import { When } from "../parts/when.tsx";
import { secretPath } from "../paths.ts";
import { useProviders, useSecrets, useSecretsAt } from "../queries.ts";
import { useMay } from "../session.tsx";

const NAME = /^[a-z0-9][a-z0-9-]{0,62}$/;

export function SecretsPage() {
  const mayChange = useMay("admin");
  const sought = useSought();
  const secrets = useSecrets(sought);
  const providers = useProviders();
  const [query, setQuery] = useSearchParams();
  const [rotated, setRotated] = useState<Secret | undefined>();
  const rotating = useKept(rotated);
  const [deleted, setDeleted] = useState<Secret | undefined>();
  const wanted = wantedPlace(query);
  const adding = query.has("add") || wanted.provider !== "";
  // It may be on a page of the list that isn't loaded yet.
  const there = useSecretsAt(wanted.provider, wanted.environment);
  const unsure = wanted.provider !== "" && (there.loading || there.error !== null);
  const existing = there.rows[0];
  const add = () => setQuery({ ...(sought !== "" && { query: sought }), add: "" });

  const columns: Column<Secret>[] = [
    {
      title: "Provider",
      kind: "main",
      cell: (secret) => (
        <Link to={secretPath(secret.id)}>{titleOf(secret.provider, providers.rows)}</Link>
      ),
    },
    { title: "Environment", cell: (secret) => secret.environment },
    {
      title: "Key",
      cell: (secret) => (
        <>
          <code className="nowrap">{secret.masked}</code>
          {secret.label !== "" && <div className="muted clamp">{secret.label}</div>}
        </>
      ),
    },
    {
      title: "Version",
      kind: "number",
      cell: (secret) => (
        <>
          {secret.version}
          {secret.candidate !== null && <div className="muted">{secret.candidate} waits</div>}
        </>
      ),
    },
    {
      title: "Saved",
      cell: (secret) => (
        <>
          <When at={secret.updatedAt} /> <DueBadge dueAt={secret.dueAt} />
          <Misplaced misplaced={secret.misplaced} />
          <Refused refusals={secret.refusals} />
        </>
      ),
    },
    {
      title: "Actions",
      kind: "actions",
      cell: (secret) =>
        mayChange && (
          <>
            <TestButton secret={secret} />
            <Button
              small
              onClick={() => setRotated(secret)}
              aria-label={`Rotate ${secret.provider} in ${secret.environment}`}
            >
              Rotate
            </Button>
            <Button
              small
              kind="quiet"
              onClick={() => setDeleted(secret)}
              aria-label={`Delete … ${secret.provider} in ${secret.environment}`}
            >
              Delete …
            </Button>
          </>
        ),
    },
  ];

  return (
    <Page
      title="Secrets"
      intro="The real keys of providers. Agents of the same environment use them; nobody sees them again."
      actions={
        mayChange && (
          <Button kind="primary" onClick={add}>
            <Icon name="plus" /> Add a key
          </Button>
        )
      }
    >
      {there.error !== null && (
        <Note tone="warn">
          <span role="alert">Whether there is such a key could not be found out.</span>{" "}
          <Button small onClick={there.retry}>
            Try again
          </Button>
        </Note>
      )}
      {providers.error !== null && secrets.error === null && (
        <Note tone="warn">
          <span role="alert">The providers could not be loaded, so no key can be added.</span>{" "}
          <Button small onClick={providers.retry}>
            Try again
          </Button>
        </Note>
      )}
      <Search label="Search the keys" placeholder="Provider, environment or label" />
      <DataTable
        label="Secrets"
        columns={columns}
        list={secrets}
        rowKey={(secret) => secret.id}
        empty={
          sought !== "" ? (
            <NothingFound sought={sought} />
          ) : (
            <EmptyState
              title="No keys yet"
              action={mayChange && <Button onClick={add}>Add the first key</Button>}
            >
              Until a provider has a key, its calls are refused and nothing is forwarded.
            </EmptyState>
          )
        }
      />
      {!mayChange && wanted.provider !== "" && (
        <p className="note warn">
          Agents in {wanted.environment} have no key for {wanted.provider}. Only admins and owners
          can add one.
        </p>
      )}
      <SecretDialog
        open={adding && mayChange && !unsure && !providers.loading}
        onClose={() => setQuery(sought === "" ? {} : { query: sought }, { replace: true })}
        providers={providers.rows}
        provider={wanted.provider}
        environment={wanted.environment}
        existing={existing}
      />
      <SecretDialog
        open={rotated !== undefined}
        onClose={() => setRotated(undefined)}
        providers={providers.rows}
        provider={rotating?.provider ?? ""}
        environment={rotating?.environment ?? ""}
        existing={rotating}
      />
      <DeleteSecretDialog secret={deleted} onClose={() => setDeleted(undefined)} />
    </Page>
  );
}

/** Provider and environment from a refusal's link. Anybody can write a link, so a value that can't be a name is ignored. */
function wantedPlace(query: URLSearchParams): { provider: string; environment: string } {
  const name = (parameter: string, otherwise: string): string => {
    const value = query.get(parameter) ?? "";
    return NAME.test(value) ? value : otherwise;
  };
  return { provider: name("provider", ""), environment: name("environment", "production") };
}

function titleOf(name: string, providers: readonly Provider[]): string {
  return providers.find((provider) => provider.name === name)?.title ?? name;
}
