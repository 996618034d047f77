// A right belongs to the change, not to the route: whatever route takes a field by which somebody would get more asks for the same
// role and proof. The routes and their fields come from the declarations; a new field has to be named here.
import assert from "node:assert/strict";
import { it } from "node:test";
import { z } from "zod";
import type { RouteDeclaration } from "../../src/admin/route.ts";
import { FAKE_KEY, stringAt, type Answer } from "../admin/fixture.ts";
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
  ...["provider", "value", "version", "origin", "header", "scheme", "to", "user"],
  // Proof itself, and one-time links.
  ...["password", "current", "code", "seed", "token"],
]);

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
const { allowedEndpoints: _none, scopeExpiresAt: _never, environment, ...narrowParts } = NARROW;
const NARROW_NEW = { ...narrowParts, environments: [environment] };

/** What a route needs in its body beside the field. */
const BESIDE: Readonly<Record<string, object>> = {
  "PUT /secrets": { provider: "openai", value: FAKE_KEY },
  "POST /invitations": { email: "guest@example.test", role: "viewer" },
  "POST /api-keys": { name: "made", role: "viewer" },
};

const fieldsOf = ({ body }: RouteDeclaration): string[] => {
  if (body === undefined) return [];
  const { properties, anyOf = [] } = z.toJSONSchema(body, { io: "input" });
  return [properties ?? {}, ...anyOf.map((each) => Object(each).properties ?? {})].flatMap((each) =>
    Object.keys(each),
  );
};

it("of role and proof, wherever it can be made", async (t) => {
  const people = await openPeople(t);
  const { routes, call, addKey, first, owner, ageProofs, join } = people;
  const operator = await addKey("operator");
  const admin = await addKey("admin");
  const member = await join("member@example.test", "viewer", ["coder"]);
  const second = await call("POST", "/api/v1/workspaces", { name: "second" });
  const secret = await call("PUT", "/api/v1/secrets", { provider: "openai", value: FAKE_KEY });

  /** Everything that says who may do what. */
  const state = async (): Promise<unknown> => {
    const [row] = await owner`
      select (select jsonb_agg(to_jsonb(a) - '{id,deployments,created_at,deployed_at}'::text[] order by name)
          from x3sproxy.agents a) as agents,
        (select jsonb_agg(to_jsonb(n) - 'set_at' order by agent) from x3sproxy.new_agent_scopes n where agent = '') as bounds,
        (select jsonb_agg(jsonb_build_array(email, role, agents) order by email) from x3sproxy.users) as users,
        (select jsonb_agg(jsonb_build_array(name, role, agents) order by name) from x3sproxy.api_keys) as keys,
        (select count(*) from x3sproxy.invitations) as invitations,
        (select count(*) from x3sproxy.resets) as resets,
        (select jsonb_agg(to_jsonb(w) order by id) from x3sproxy.workspaces w) as workspaces,
        (select jsonb_agg(to_jsonb(r) - 'changed_at' order by workspace_id) from x3sproxy.audit_retentions r) as retentions,
        (select jsonb_agg(jsonb_build_array(environment, active_version) order by environment) from x3sproxy.secrets) as secrets`;
    return JSON.parse(JSON.stringify(row));
  };
  /** `coder` is there, narrow; `gone` was, as narrow; `other` never was: new ones are as narrow where `limited`, else not limited. */
  const reset = async (limited: boolean): Promise<void> => {
    await owner`delete from x3sproxy.agents`;
    await owner`delete from x3sproxy.new_agent_scopes`;
    await owner`delete from x3sproxy.invitations`;
    await owner`delete from x3sproxy.resets`;
    await owner`delete from x3sproxy.api_keys where name = 'made'`;
    await owner`update x3sproxy.users set role = 'viewer', agents = '{coder}' where id = ${member.id}`;
    for (const name of ["coder", "gone"]) {
      const made = await call("POST", `/api/v1/agents/${name}/deployments`, NARROW);
      assert.equal(made.status, 201, made.text);
    }
    await call("DELETE", "/api/v1/agents/gone");
    if (!limited) return;
    const set = await call("PATCH", "/api/v1/workspace/new-agents", NARROW_NEW);
    assert.equal(set.status, 200, set.text);
  };
  const places = (path: string): string[] => {
    if (path.startsWith("/agents/:name")) {
      return ["coder", "gone", "other"].map((name) => path.replace(":name", name));
    }
    return [
      path
        .replace("/environments/:name", "/environments/production")
        .replace("/users/:id", `/users/${member.id}`)
        .replace("/workspaces/:id", `/workspaces/${stringAt(second, "workspace", "id")}`)
        .replace("/secrets/:id", `/secrets/${stringAt(secret, "secret", "id")}`)
        .replace("/providers/:name", "/providers/acme"),
    ];
  };

  const makers = new Set<string>();
  for (const route of routes) {
    if (route.method === "GET") continue;
    const name = `${route.method} ${route.path}`;
    for (const field of fieldsOf(route)) {
      const isOfScope = field in SCOPE;
      if (!isOfScope && !(field in PEOPLE)) {
        assert.ok(OTHERS.has(field), `${name} takes ${field}: say here what it gives`);
        continue;
      }
      // What one of them below lacks is the role; an owner's session lacks the proof.
      const below = isOfScope ? operator : admin;
      const body = { ...BESIDE[name], [field]: isOfScope ? SCOPE[field] : PEOPLE[field] };
      for (const place of places(route.path)) {
        // Where new agents are not limited, only a name that one was destroyed under is.
        for (const limited of place.includes("/other/") ? [true] : [true, false]) {
          const what = `${name} with ${field}, at ${place}${limited ? "" : ", new agents not limited"}`;
          await reset(limited);
          const before = await state();
          const lowly = await call(route.method, `/api/v1${place}`, body, below);
          const afterLowly = await state();
          await ageProofs("1 hour");
          const stale = await first.call(route.method, place, body);
          const afterStale = await state();
          await owner`update x3sproxy.sessions set proved_at = now()`;
          await reset(limited);
          const able = await first.call(route.method, place, body);
          const isMade = JSON.stringify(await state()) !== JSON.stringify(before);
          // An upload of a backup, too, gives something away without changing anything.
          if (!isMade && !(able.status < 300 && name === "POST /backups")) continue;
          assert.ok(able.status < 300, `${what}: ${able.text}`);
          makers.add(name);
          refused(lowly, "role_too_low", what);
          assert.deepEqual(afterLowly, before, what);
          // To whoever has the role, a new agent is held to what new ones get, not to a destroyed one's scope.
          if (place.includes("/gone/") && !limited && field !== "allowedEndpoints") continue;
          refused(stale, "proof_needed", what);
          assert.deepEqual(afterStale, before, what);
        }
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
