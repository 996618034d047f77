// The parts of a scope that new agents of a workspace have, too: providers, calls, models and source addresses, each a list or not limited.
import type { Provider } from "../../contract/client.ts";
import type { ListName, ScopeDraft } from "../scope-draft.ts";
import { Choices } from "./field.tsx";
import { ListPart, ScopePart } from "./scope-part.tsx";
import { ScopeTemplates } from "./scope-templates.tsx";

interface LimitingPartsProps {
  readonly draft: ScopeDraft;
  readonly set: (part: Partial<ScopeDraft>) => void;
  readonly errorOf: (name: ListName) => string | undefined;
  readonly providers: readonly Provider[];
}

export function LimitingParts({ draft, set, errorOf, providers }: LimitingPartsProps) {
  return (
    <>
      <ProvidersPart draft={draft} set={set} error={errorOf("providers")} {...{ providers }} />
      <ListPart
        title="Calls"
        hint={
          <>
            A rule is <code>METHOD /provider/path</code>, as in{" "}
            <code>POST /openai/v1/responses</code>. <code>*</code> stands for anything in its place,{" "}
            <code>**</code> for any rest; <code>!</code> in front takes away.
          </>
        }
        item="Rule"
        placeholder="POST /openai/v1/responses"
        pattern="\s*!?\s*(\*|[A-Za-z]+)\s+\/\S+\s*"
        patternText="METHOD /provider/path, as in POST /openai/v1/responses or !* /*/v1/files/**"
        draft={draft.rules}
        onDraft={(rules) => set({ rules })}
        error={errorOf("rules")}
        help={<ScopeTemplates draft={draft} onRules={(rules) => set({ rules })} />}
      />
      <ListPart
        title="Models"
        hint={
          <>
            By name; <code>*</code> stands for any characters, as in <code>claude-*</code>. Calls
            whose model can’t be told are refused, too.
          </>
        }
        item="Model"
        placeholder="claude-*"
        pattern="\s*\S+\s*"
        patternText="A name without spaces, as in claude-* or gpt-5-mini"
        draft={draft.models}
        onDraft={(models) => set({ models })}
        error={errorOf("models")}
      />
      <ListPart
        title="Source addresses"
        hint={
          <>
            From where its calls may come: <code>203.0.113.7</code> or a block, as in{" "}
            <code>10.0.0.0/8</code>. Not limited: a token that is stolen works from everywhere.
          </>
        }
        item="Address"
        placeholder="10.0.0.0/8"
        pattern="\s*[0-9A-Fa-f:.\/]+\s*"
        patternText="An address or a block of them, as in 203.0.113.7, 10.0.0.0/8 or fd00::/8"
        draft={draft.addresses}
        onDraft={(addresses) => set({ addresses })}
        error={errorOf("addresses")}
      />
    </>
  );
}

export interface PartProps {
  readonly draft: ScopeDraft;
  readonly set: (part: Partial<ScopeDraft>) => void;
  readonly providers: readonly Provider[];
  readonly error: string | undefined;
}

function ProvidersPart({ draft, set, providers, error }: PartProps) {
  const { limited, values } = draft.providers;
  // Include a deleted provider: it must be visible to be removed.
  const gone = values.filter((name) => !providers.some((provider) => provider.name === name));
  return (
    <ScopePart
      title="Providers"
      hint="Whose keys it may use, in its environment."
      limited={limited}
      onLimited={(next) => set({ providers: { limited: next, values } })}
      error={error}
    >
      <Choices
        label="It may use"
        options={[
          ...providers.map((provider) => [provider.name, provider.title] as const),
          ...gone.map((name) => [name, name] as const),
        ]}
        chosen={values}
        onChosen={(chosen) => set({ providers: { limited, values: chosen } })}
      />
    </ScopePart>
  );
}
