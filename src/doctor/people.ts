// Checks second factors, the setup link and the bootstrap API key. Reads only.
import type { Config } from "../platform/config.ts";
import type { Sql } from "../db/index.ts";
import type { Findings } from "./finding.ts";

export async function checkPeople(sql: Sql, config: Config, findings: Findings): Promise<void> {
  const [row] = await sql<
    [
      {
        people: string;
        bare: string;
        lax: string;
        links: string;
        bootstrap: Date | null;
        has_bootstrap: boolean;
      },
    ]
  >`
    select
      (select count(*) from x3sproxy.users where role in ('owner', 'admin')) as people,
      (select count(*) from x3sproxy.users u where role in ('owner', 'admin')
        and not exists (select from x3sproxy.second_factors f where f.user_id = u.id)) as bare,
      (select count(*) from x3sproxy.workspaces w where not second_factor_required
        and exists (select from x3sproxy.users u where u.workspace_id = w.id)) as lax,
      (select count(*) from x3sproxy.setup_links where expires_at > now()) as links,
      (select max(last_used_at) from x3sproxy.api_keys where name = 'bootstrap') as bootstrap,
      exists (select from x3sproxy.api_keys where name = 'bootstrap'
        and (expires_at is null or expires_at > now())) as has_bootstrap`;
  if (Number(row.bare) > 0) {
    findings.add("Access", "critical", "second-factors", {
      what: `Owners and admins without a second factor: ${row.bare}.`,
      why: "Their password alone is enough to replace keys and let others in.",
      fix: "Let them enrol one (dashboard, your account), then: x3sproxy workspace set --second-factor required",
    });
  } else if (Number(row.people) === 0) {
    findings.skip("second-factors", "there is no owner or admin yet");
  } else findings.ok("Access", "second-factors", "Every owner and admin has a second factor.");
  if (Number(row.lax) > 0) {
    findings.add("Access", "warning", "second-factor-rule", {
      what: `Workspaces that don't ask for a second factor: ${row.lax}.`,
      why: "Whoever is invited next can do without.",
      fix: "x3sproxy workspace set --second-factor required",
    });
  } else if (Number(row.people) === 0) {
    findings.skip("second-factor-rule", "there is no owner or admin yet");
  } else findings.ok("Access", "second-factor-rule", "Workspaces ask for a second factor.");
  if (Number(row.links) > 0) {
    findings.add("Access", "critical", "setup-link", {
      what: "A link that makes the first user of a workspace is still good.",
      why: "Whoever has it, from a terminal or a log, becomes an owner.",
      fix: "Open the link and make that user; a new start of the service ends the old link of the home workspace",
    });
  } else findings.ok("Access", "setup-link", "No setup link is open.");
  if (row.has_bootstrap) {
    findings.add("Access", "warning", "bootstrap-key", {
      what: `The API key that the first start made still works${row.bootstrap === null ? "" : ", and was used"}.`,
      why: `It is an owner's, without an end, and lies in ${config.dataDir}/admin-api-key.`,
      fix: "Make API keys with a role, an end and addresses; then delete the key `bootstrap` in the dashboard, and the file",
    });
  } else findings.ok("Access", "bootstrap-key", "The first start's API key is gone.");
}
