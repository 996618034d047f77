// The snippets for connecting an agent, one tab each.
import { Tabs } from "@base-ui/react/tabs";
import { snippetsFor, type Connection } from "../snippets.ts";
import { CodeBlock } from "./copy.tsx";
import { Note } from "./states.tsx";

export function Snippets(connection: Connection) {
  const snippets = snippetsFor(connection);
  return (
    <>
      {connection.providers.length === 0 && (
        <Note tone="warn">
          No key in {connection.agent.environment} that this agent may use yet. With one, its
          variables stand here.
        </Note>
      )}
      <Tabs.Root defaultValue={snippets[0]?.id ?? null} className="tabs">
        <Tabs.List className="tab-list" aria-label="Ways to connect">
          {snippets.map(({ id, title }) => (
            <Tabs.Tab key={id} value={id} className="tab">
              {title}
            </Tabs.Tab>
          ))}
        </Tabs.List>
        {snippets.map(({ id, title, text }) => (
          <Tabs.Panel key={id} value={id} className="tab-panel" tabIndex={-1}>
            <CodeBlock text={text} what={`snippet for ${title}`} />
          </Tabs.Panel>
        ))}
      </Tabs.Root>
    </>
  );
}
