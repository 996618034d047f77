// A right belongs to the change, not to the route: whatever route takes a field by which somebody would get more asks for the same
// role and proof. The routes and their fields come from the declarations; a new field has to be named here.
import assert from "node:assert/strict";
import { it } from "node:test";
import { z } from "zod";
import { FAKE_KEY, stringAt, type Answer, type DeclaredRoute } from "../admin/fixture.ts";
import { openPeople } from "../admin/people.ts";

/** Fields by which an agent gets more than it had, with such a value. It takes an admin, and proof. */
const SCOPE: Readonly<Record<string, unknown>> = {
  environment: "staging",
  environments: null,
  providers: null,
  rules: null,
  models: null,
  addresses: null,
  allowedEndpoints: ["openai:vaults"],
  scopeExpiresAt: null,
  limits: { requestsPerMinute: null, openStreams: null, bytesPerMinute: null },
};
/** Fields by which people, programs or the workspace's own rules get more. It takes an owner, and proof. */
const PEOPLE: Readonly<Record<string, unknown>> = {
  role: "owner",
  agents: null,
  allowedAddresses: [],
  secondFactor: true,
  secondFactorRequired: false,
  auditRetentionDays: 30,
  unusedDays: null,
  recipients: ["age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"],
};
/** Fields that give nobody more by themselves: each needs its route, whose own rule is tested with the others'. */
const OTHERS = new Set([
  ...["name", "email", "label", "rotationDays", "idleDays", "requestsPerMinute"],
  // How long a token or a link lives. Whoever may make one may make the next.
  ...["ttlSeconds", "expiresInSeconds"],
  // Keys and where they go.
  ...["provider", "value", "version", "origin", "header", "scheme", "to", "user", "skipTest"],
  // Proof itself, and one-time links.
  ...["password", "current", "code", "seed", "token", "device"],
]);

const TABLES = ["agents", "new_agent_scopes", "invitations", "resets"];

const NARROW = {
  environment: "production",
  providers: ["openai"],
  rules: ["POST /openai/v1/responses"],
  models: ["gpt-*"],
  addresses: ["10.0.0.0/8"],
  allowedEndpoints: [],
  scopeExpiresAt: "2100-01-01T00:00:00.000Z",
  limits: { requestsPerMinute: 10, openStreams: 2, bytesPerMinute: 1000 },
};
const { providers, rules, models, addresses, limits } = NARROW;
const NARROW_NEW = { providers, rules, models, addresses, limits, environments: ["production"] };

/** What a route needs in its body beside the field. */
const BESIDE: Readonly<Record<string, object>> = {
  "PUT /secrets": { provider: "openai", value: FAKE_KEY },
  "POST /invitations": { email: "guest@example.test", role: "viewer" },
  "POST /api-keys": { name: "made", role: "viewer" },
};

const fieldsOf = ({ body }: DeclaredRoute): string[] => {
  if (body === undefined) return [];
  const { properties, anyOf } = z.toJSONSchema(body, { io: "input" });
  return [properties, ...(anyOf ?? []).map((each) => each.properties)].flatMap((each) =>
    Object.keys(each ?? {}),
  );
};

/** Where an agent is that is there, one that was destroyed, and one that never was. The last is where new agents are limited. */
const NAMES = ["coder", "gone", "other"] as const;

it("of role and proof, wherever it can be made", async (t) => {
  const { routes, call, addKey, first, owner, ageProofs, join } = await openPeople(t);
  // One has not the role, the other's proof is too old.
  const operator = await addKey("operator");
  const admin = await addKey("admin");
  const member = await join("member@example.test", "viewer", ["coder"]);
  const second = await call("POST", "/api/v1/workspaces", { name: "second" });
  const secret = await call("PUT", "/api/v1/secrets", { provider: "openai", value: FAKE_KEY });
  for (const name of ["coder", "gone"]) {
    const made = await call("POST", `/api/v1/agents/${name}/deployments`, NARROW);
    assert.equal(made.status, 201, made.text);
  }
  await call("DELETE", "/api/v1/agents/gone");
  const limited = await call("PATCH", "/api/v1/workspace/new-agents", NARROW_NEW);
  assert.equal(limited.status, 200, limited.text);
  await ageProofs("1 hour");

  await owner.unsafe(
    TABLES.map((it) => `create table saved_${it} as table x3sproxy.${it}`).join(";"),
  );
  const restore = (isLimited: boolean): Promise<unknown> =>
    owner.unsafe(
      [
        ...TABLES.map((it) => `delete from x3sproxy.${it}`),
        ...TABLES.map((it) => `insert into x3sproxy.${it} select * from saved_${it}`),
        ...(isLimited ? [] : ["delete from x3sproxy.new_agent_scopes where agent = ''"]),
        "update x3sproxy.workspaces set second_factor_required = false, unused_days = 7",
        `update x3sproxy.users set role = 'viewer', agents = '{coder}' where id = '${member.id}'`,
      ].join(";"),
    );
  /** Everything that says who may do what. */
  const state = async (): Promise<string> => {
    const [row] = await owner<[{ all: string }]>`
      select jsonb_build_array(
        (select jsonb_agg(to_jsonb(a) - 'deployments' - 'deployed_at' order by name) from x3sproxy.agents a),
        (select jsonb_agg(to_jsonb(n) - 'set_at' order by agent) from x3sproxy.new_agent_scopes n),
        (select jsonb_agg(to_jsonb(u) - 'last_sign_in_at' order by id) from x3sproxy.users u),
        (select jsonb_agg(to_jsonb(k) - 'last_used_at' order by id) from x3sproxy.api_keys k),
        (select jsonb_agg(to_jsonb(i) order by id) from x3sproxy.invitations i),
        (select jsonb_agg(to_jsonb(r) order by hash) from x3sproxy.resets r),
        (select jsonb_agg(to_jsonb(w) order by id) from x3sproxy.workspaces w),
        (select jsonb_agg(to_jsonb(d) order by workspace_id) from x3sproxy.audit_retentions d),
        (select jsonb_agg(to_jsonb(s) order by id) from x3sproxy.secrets s))::text as all`;
    return row.all;
  };
  const pathOf = (route: DeclaredRoute, name: string): string =>
    route.path
      .replace("/agents/:name", `/agents/${name}`)
      .replace("/environments/:name", "/environments/production")
      .replace("/users/:id", `/users/${member.id}`)
      .replace("/workspaces/:id", `/workspaces/${stringAt(second, "workspace", "id")}`)
      .replace("/secrets/:id", `/secrets/${stringAt(secret, "secret", "id")}`)
      .replace("/providers/:name", "/providers/acme");

  const makers = new Set<string>();
  for (const route of routes) {
    if (route.method === "GET") continue;
    const routeName = `${route.method} ${route.path}`;
    const makesWhatItNames = route.path.startsWith("/agents/:name") && route.unknown === undefined;
    for (const field of fieldsOf(route)) {
      const isOfScope = field in SCOPE;
      if (!isOfScope && !(field in PEOPLE)) {
        assert.ok(OTHERS.has(field), `${routeName} takes ${field}: say here what it gives`);
        continue;
      }
      const body = { ...BESIDE[routeName], [field]: isOfScope ? SCOPE[field] : PEOPLE[field] };
      for (const name of makesWhatItNames ? NAMES : [NAMES[0]]) {
        // An end is said for each agent: new ones have none to keep to.
        if (name === "other" && field === "scopeExpiresAt") continue;
        const what = `${routeName} with ${field}, of ${name}`;
        await restore(name === "other" || field === "environments");
        const before = await state();
        const path = pathOf(route, name);
        const below = isOfScope ? operator : admin;
        const lowly = await call(route.method, `/api/v1${path}`, body, below);
        // To whoever has the role, a destroyed agent's scope is nothing to keep to: another name would do as well.
        const stale = name === "gone" ? undefined : await first.call(route.method, path, body);
        const isKept = (await state()) === before;
        const able = await call(route.method, `/api/v1${path}`, body);
        // A backup gives away what there is, and changes nothing.
        if ((await state()) === before && route.streams === undefined) continue;
        assert.ok(able.status < 300, `${what}: ${able.text}`);
        makers.add(routeName);
        refused(lowly, "role_too_low", what);
        if (stale !== undefined) refused(stale, "proof_needed", what);
        assert.ok(isKept, what);
      }
    }
  }
  assert.deepEqual([...makers].sort(), [
    "PATCH /agents/:name/scope",
    "PATCH /users/:id",
    "PATCH /workspace",
    "PATCH /workspace/new-agents",
    "POST /agents/:name/deployments",
    "POST /api-keys",
    "POST /backups",
    "POST /invitations",
    "POST /users/:id/reset",
    "PUT /secrets",
  ]);
});

function refused(answer: Answer, code: string, what: string): void {
  assert.deepEqual([answer.status, answer.body["code"]], [403, code], `${what}: ${answer.text}`);
}
