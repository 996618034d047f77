// A role, and the agents that it is limited to: for users, invitations and API keys.
import { ROLES, type Role } from "../../contract/client.ts";
import { useAllAgents, type Rows } from "../queries.ts";
import { LIMITABLE, ROLE_TEXTS } from "../roles.ts";
import { CheckField, Choices, describeError, SelectField } from "./field.tsx";
import { Badge } from "./states.tsx";

export interface Rights {
  readonly role: Role;
  /** null: every agent. */
  readonly agents: readonly string[] | null;
}

interface RoleFieldsProps {
  readonly rights: Rights;
  readonly onRights: (rights: Rights) => void;
}

export function RoleFields({ rights, onRights }: RoleFieldsProps) {
  const agents = useAllAgents();
  const { role, agents: limit } = rights;
  const limitable = LIMITABLE.includes(role);
  const names = [...new Set([...agents.rows.map(({ name }) => name), ...(limit ?? [])])].sort();
  return (
    <>
      <SelectField
        label="Role"
        hint={ROLE_TEXTS[role]}
        value={role}
        onValue={(value) => {
          const chosen = ROLES.find((each) => each === value) ?? "viewer";
          onRights({ role: chosen, agents: LIMITABLE.includes(chosen) ? limit : null });
        }}
        options={ROLES.map((each) => [each, each])}
      />
      {limitable && (
        <CheckField
          label="Limited to some agents"
          checked={limit !== null}
          onValue={(checked) => onRights({ role, agents: checked ? [] : null })}
        />
      )}
      {limitable && limit !== null && (
        <Choices
          label="These agents"
          hint={hintOf(agents, names)}
          options={names.map((name) => [name, name])}
          chosen={limit}
          onChosen={(chosen) => onRights({ role, agents: chosen })}
        />
      )}
    </>
  );
}

function hintOf({ loading, error }: Rows<unknown>, names: readonly string[]): string {
  if (error !== null) return `The agents could not be loaded. ${describeError(error)}`;
  if (loading) return "Loading the agents …";
  return names.length === 0 ? "There are no agents yet." : "All others stay hidden.";
}

export function RoleText({ role, agents }: Rights) {
  return (
    <>
      <Badge>{role}</Badge>
      {agents !== null && (
        <span className="muted" title={agents.join(", ")}>
          {" "}
          {agents.length === 1 ? agents[0] : `${agents.length} agents`}
        </span>
      )}
    </>
  );
}
