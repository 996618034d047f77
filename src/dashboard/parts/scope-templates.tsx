// Templates that fill in the rules of a scope.
import { useState } from "react";
import type { ScopeTemplate } from "../../contract/client.ts";
import { useScopeTemplates } from "../queries.ts";
import type { ListDraft, ScopeDraft } from "../scope-draft.ts";
import { counted } from "../time.ts";
import { Button } from "./button.tsx";

interface ScopeTemplatesProps {
  readonly draft: ScopeDraft;
  readonly onRules: (rules: ListDraft) => void;
}

export function ScopeTemplates({ draft, onRules }: ScopeTemplatesProps) {
  const templates = useScopeTemplates();
  const [used, setUsed] = useState<{ title: string; text: string } | undefined>();
  const { limited, values: chosen } = draft.providers;
  const use = ({ title, description, rules }: ScopeTemplate) => {
    const wanted = limited ? rules.filter((rule) => concerns(rule, chosen)) : rules;
    onRules({ limited: true, values: wanted });
    const those = limited ? ", those of its providers" : "";
    setUsed({ title, text: `${counted(wanted.length, "rule")}${those}. ${description}` });
  };
  return (
    <div className="templates" aria-busy={templates.loading || undefined}>
      <div className="buttons" role="group" aria-label="Templates">
        {templates.rows.map((template) => (
          <Button key={template.name} small onClick={() => use(template)}>
            {template.title}
          </Button>
        ))}
        {templates.error !== null && (
          <p className="muted">
            The templates could not be loaded.{" "}
            <Button small onClick={templates.retry}>
              Try again
            </Button>
          </p>
        )}
      </div>
      <p className="hint" role="status">
        {used && (
          <>
            <strong>{used.title}:</strong> {used.text}
          </>
        )}
      </p>
    </div>
  );
}

/** Whether a rule is about one of `providers`; one with a star may be. */
function concerns(rule: string, providers: readonly string[]): boolean {
  const [, provider = ""] = /\/([^/]*)/.exec(rule) ?? [];
  return provider.includes("*") || providers.includes(provider);
}
