// How differences from sql/expected.json are reported: under which check, with which severity, in which words.
import type { Difference } from "./comparison.ts";
import { listed, type Findings, type Severity } from "./finding.ts";

export type TopicId =
  | "role-rights"
  | "database-rights"
  | "policies"
  | "schema-content"
  | "schema-indexes"
  | "replication"
  | "event-triggers";

const OURS = /^(public|x3sproxy_(control|proxy)(_[0-9a-f]{8})?)$/;
const MOST_NAMED = 8;

type Worse = Exclude<Severity, "ok">;

/** `fine`: the sentence if there is no difference. */
const TOPICS: Readonly<Record<TopicId, { fine: string; what: string; why: string }>> = {
  "role-rights": {
    fine: "The logins have just their rights.",
    what: "The service's own logins, or everybody, may do what they should not, or lack what they need",
    why: "The data plane's login alone must yield nothing, and each stays within its workspace.",
  },
  "database-rights": {
    fine: "Only known logins may connect to the database.",
    what: "Who may connect to the database, or make objects in it, is not as the service sets it",
    why: "The groups' rights hold in every database of the server: logins of another installation must not get in here.",
  },
  policies: {
    fine: "The policies of row-level security keep each row to its workspace.",
    what: "The policies of row-level security are not those that the migrations make",
    why: "Rows of other workspaces are open to the admin side's login, or their own are closed to it.",
  },
  "schema-content": {
    fine: "Tables, functions and triggers are those that the migrations make.",
    what: "The schema is not what the migrations make",
    why: "A replaced function, or a trigger that does not run, can let tokens live on, or changes happen without the audit.",
  },
  "schema-indexes": {
    fine: "The indexes are those that the migrations make.",
    what: "The indexes are not those that the migrations make",
    why: "Without one a question reads a whole table. One more costs each change.",
  },
  replication: {
    fine: "No rows of the service are replicated by tables.",
    what: "Rows of the service are replicated",
    why: "Whoever is at the other end has hashes, sealed keys and what agents do; a subscription can also write.",
  },
  "event-triggers": {
    fine: "No event trigger is set.",
    what: "Event triggers run in this database, which are an administrator's",
    why: "They act on migrations, and can on each sign-in.",
  },
};

/** The check and the severity of a difference. Undefined for rights of other roles: see checkOthers. */
export function placeOf({ kind, how, grantee }: Difference): [TopicId, Worse] | undefined {
  const isOurs = grantee === null || OURS.test(grantee);
  switch (kind) {
    case "role":
    case "membership":
    case "role setting":
    case "outside right":
    case "schema owner":
    case "row security":
      return ["role-rights", "critical"];
    case "policy":
      return ["policies", "critical"];
    case "grant":
    case "default privilege":
      return isOurs ? ["role-rights", "critical"] : undefined;
    case "database right":
      return isOurs ? ["database-rights", "warning"] : undefined;
    case "trigger":
    case "rule":
    case "function":
    case "inheritance":
    case "server setting":
      return ["schema-content", "critical"];
    case "object":
    case "table":
    case "column":
    case "constraint":
      return ["schema-content", how === "more" ? "warning" : "critical"];
    case "index":
      return ["schema-indexes", how === "more" ? "note" : "warning"];
    case "publication":
    case "subscription":
      return ["replication", "warning"];
    case "event trigger":
      return ["event-triggers", "note"];
  }
}

/** Reports each topic, with its differences. */
export function tell(
  ids: readonly TopicId[],
  found: readonly Difference[],
  findings: Findings,
): void {
  for (const id of ids) tellOne(id, found, findings);
}

function tellOne(id: TopicId, all: readonly Difference[], findings: Findings): void {
  const found = all.filter((each) => placeOf(each)?.[0] === id);
  const { fine, what, why } = TOPICS[id];
  const severity = (["critical", "warning", "note"] as const).find((each) =>
    found.some((difference) => placeOf(difference)?.[1] === each),
  );
  if (severity === undefined) {
    findings.ok("Database", id, fine);
    return;
  }
  const named = found.map((each) => each.what);
  findings.add("Database", severity, id, {
    what: `${what}: ${listed(named, MOST_NAMED)}.`,
    why,
    fix: listedFixes(found),
  });
}

/** The statements that mend them, to be run one after another. */
export function listedFixes(found: readonly Difference[]): string {
  const fixes = [...new Set(found.map(({ fix }) => fix))];
  const rest = fixes.length - MOST_NAMED;
  const more = rest > 0 ? `; then run doctor again: ${rest} more` : "";
  return `${fixes.slice(0, MOST_NAMED).join("; ")}${more}`;
}
