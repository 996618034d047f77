// The frame of the settings: one page for each subject, with links to those that the role may use.
import type { ReactNode } from "react";
import { NavLink } from "react-router";
import { PATHS } from "../paths.ts";
import { may, type Permission } from "../roles.ts";
import { useMe } from "../session.tsx";
import { Page } from "./page.tsx";

const SUBJECTS: readonly (readonly [path: string, text: string, permission: Permission])[] = [
  [PATHS.profile, "Profile", "person"],
  [PATHS.workspace, "Workspace", "admin"],
  [PATHS.newAgents, "New agents", "admin"],
  [PATHS.workspaces, "Workspaces", "owner"],
  [PATHS.providers, "Providers", "admin"],
];

export function SettingsPage({ title, children }: { title: string; children: ReactNode }) {
  const me = useMe();
  const open = SUBJECTS.filter(([, , permission]) => may(me, permission));
  return (
    <Page title={title}>
      {open.length > 1 && (
        <nav aria-label="Settings" className="subjects">
          {open.map(([path, text]) => (
            <NavLink key={path} to={path} end>
              {text}
            </NavLink>
          ))}
        </nav>
      )}
      {children}
    </Page>
  );
}
