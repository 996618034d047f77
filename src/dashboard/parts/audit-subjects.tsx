// The links between an auditor's two pages: the events, and on whose behalf agents made calls.
import { NavLink } from "react-router";
import { PATHS } from "../paths.ts";

export function AuditSubjects() {
  return (
    <nav aria-label="Audit" className="subjects">
      <NavLink to={PATHS.audit} end>
        Events
      </NavLink>
      <NavLink to={PATHS.contexts}>On whose behalf</NavLink>
    </nav>
  );
}
