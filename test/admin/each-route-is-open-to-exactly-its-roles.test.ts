import assert from "node:assert/strict";
import { it, type TestContext } from "node:test";
import type { Role } from "../../src/contract/index.ts";
import {
  FAKE_KEY,
  MASTER_KEY_ID,
  OTHER_FAKE_KEY,
  openAdmin,
  stringAt,
  type Answer,
  type DeclaredRoute,
} from "./fixture.ts";

const ROLES: readonly Role[] = ["viewer", "operator", "admin", "owner", "auditor"];

/** The roles whose API keys a permission lets in. `person`: no API key at all. Undefined: no key is asked for. */
const ALLOWED: Readonly<Record<string, readonly Role[] | undefined>> = {
  viewer: ["viewer", "operator", "admin", "owner"],
  operator: ["operator", "admin", "owner"],
  admin: ["admin", "owner"],
  owner: ["owner"],
  audit: ["owner", "auditor"],
  self: ROLES,
  person: [],
  link: undefined,
  public: undefined,
};

interface Expected {
  readonly permission: string;
  /** A body that would do something. */
  readonly body?: object;
  /** The status that an owner of another workspace gets who names what is ours; absent where a route names nothing: a success. */
  readonly elsewhere?: number;
}

/** What is expected of each route. A new route has to be added here, a changed permission changed here. */
const EXPECTED: Readonly<Record<string, Expected>> = {
  "GET /whoami": { permission: "self" },
  "POST /setup": { permission: "link" },
  "GET /openapi.json": { permission: "public" },
  "POST /backups": {
    permission: "owner",
    body: { recipients: ["age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"] },
    elsewhere: 403,
  },
  "GET /secrets": { permission: "viewer" },
  "GET /scope-templates": { permission: "viewer" },
  "PUT /secrets": {
    permission: "admin",
    body: { provider: "openai", value: OTHER_FAKE_KEY, skipTest: true },
  },
  "GET /secrets/:secret": { permission: "viewer", elsewhere: 404 },
  "GET /secrets/:secret/versions": { permission: "viewer", elsewhere: 404 },
  "POST /secrets/:secret/rollback": {
    permission: "admin",
    body: { version: 1 },
    elsewhere: 404,
  },
  "POST /secrets/:secret/activate": {
    permission: "admin",
    body: { version: 2 },
    elsewhere: 404,
  },
  "POST /secrets/:secret/discard": {
    permission: "admin",
    body: { version: 2 },
    elsewhere: 404,
  },
  "DELETE /secrets/:secret": { permission: "admin", elsewhere: 404 },
  "GET /secrets/:secret/use": { permission: "viewer", elsewhere: 404 },
  "POST /secrets/:secret/test": { permission: "admin", elsewhere: 404 },
  "GET /agents": { permission: "viewer" },
  "GET /agents/:agent": { permission: "viewer", elsewhere: 404 },
  "GET /overview": { permission: "viewer" },
  "GET /activity": { permission: "viewer" },
  "GET /contexts": { permission: "audit" },
  // These two make what they name, in the caller's own workspace.
  "POST /agents/:agent/deployments": { permission: "operator", body: {}, elsewhere: 201 },
  "PUT /providers/:provider": {
    permission: "admin",
    body: { origin: "https://other.example" },
    elsewhere: 200,
  },
  "PATCH /agents/:agent/scope": {
    permission: "admin",
    body: { models: ["claude-*"] },
    elsewhere: 404,
  },
  "POST /agents/:agent/suspend": { permission: "operator", elsewhere: 404 },
  "POST /agents/:agent/resume": { permission: "operator", elsewhere: 404 },
  "POST /agents/:agent/scope/dry-run": {
    permission: "admin",
    body: { models: ["claude-*"] },
    elsewhere: 404,
  },
  "POST /agents/:agent/registrations": { permission: "operator", body: {}, elsewhere: 404 },
  "GET /agents/:agent/registrations": { permission: "viewer", elsewhere: 404 },
  "DELETE /agents/:agent/registrations/:registration": { permission: "operator", elsewhere: 404 },
  "POST /agents/:agent/leases": { permission: "operator", body: {}, elsewhere: 404 },
  "PUT /agents/:agent/leases/:lease": { permission: "operator", elsewhere: 404 },
  "DELETE /agents/:agent/leases/:lease": { permission: "operator", elsewhere: 404 },
  "DELETE /agents/:agent": { permission: "operator", elsewhere: 404 },
  "GET /providers": { permission: "viewer" },
  "DELETE /providers/:provider": { permission: "admin", elsewhere: 404 },
  "GET /audit": { permission: "audit" },
  "GET /audit/checkpoint": { permission: "audit" },
  "GET /audit/export": { permission: "audit" },
  "GET /audit/:event/proof": { permission: "audit", elsewhere: 404 },
  "POST /audit/erasures": { permission: "owner", body: { user: "gone@example.test" } },
  "POST /sign-in": { permission: "public" },
  "POST /sign-out": { permission: "person" },
  "GET /me": { permission: "self" },
  "POST /me/proof": { permission: "person" },
  "PUT /me/password": { permission: "person" },
  "PUT /me/second-factor": { permission: "person" },
  "DELETE /me/second-factor": { permission: "person" },
  "POST /me/recovery-codes": { permission: "person" },
  "GET /me/sessions": { permission: "person" },
  "DELETE /me/sessions": { permission: "person" },
  "DELETE /me/sessions/:session": { permission: "person" },
  "POST /links/look": { permission: "link" },
  "POST /invitations/accept": { permission: "link" },
  "POST /resets/accept": { permission: "link" },
  "GET /users": { permission: "owner" },
  "PATCH /users/:user": { permission: "owner", body: { role: "viewer" }, elsewhere: 404 },
  "POST /users/:user/reset": { permission: "owner", body: {}, elsewhere: 404 },
  "DELETE /users/:user": { permission: "owner", elsewhere: 404 },
  "GET /invitations": { permission: "owner" },
  "POST /invitations": {
    permission: "owner",
    body: { email: "guest@example.test", role: "viewer" },
  },
  "DELETE /invitations/:invitation": { permission: "owner", elsewhere: 404 },
  "GET /api-keys": { permission: "owner" },
  "POST /api-keys": { permission: "owner", body: { name: "made", role: "viewer" } },
  "DELETE /api-keys/:api-key": { permission: "owner", elsewhere: 404 },
  "GET /workspace": { permission: "viewer" },
  "PATCH /workspace": { permission: "owner", body: { rotationDays: 30 } },
  "GET /workspace/new-agents": { permission: "viewer" },
  "PATCH /workspace/new-agents": { permission: "admin", body: { environments: ["ours"] } },
  "GET /workspaces": { permission: "owner" },
  // Names nothing, and still is for owners of the home workspace alone.
  "POST /workspaces": { permission: "owner", body: { name: "made" }, elsewhere: 403 },
  "POST /workspaces/:workspace/setup-link": { permission: "owner", elsewhere: 404 },
  "DELETE /workspaces/:workspace": {
    permission: "owner",
    body: { name: "second" },
    elsewhere: 404,
  },
  "GET /environments": { permission: "viewer" },
  "PATCH /environments/:environment": {
    permission: "admin",
    body: { name: "renamed" },
    elsewhere: 404,
  },
  "POST /workspace/suspend": { permission: "admin" },
  "POST /workspace/resume": { permission: "admin" },
  // These two name nothing, and still are for owners of the home workspace alone. The key's id is that of the tests' master key.
  "GET /master-keys": { permission: "owner", elsewhere: 403 },
  "POST /master-keys/rotation": {
    permission: "owner",
    body: { to: MASTER_KEY_ID },
    elsewhere: 403,
  },
};

/** What stands for each kind of name in a path above. */
type Names = Readonly<Record<string, string>>;

const NOTHING: Names = {
  secret: "00000000-0000-4000-8000-000000000000",
  agent: "no-such-agent",
  provider: "no-such-provider",
  user: "00000000-0000-4000-8000-000000000000",
  invitation: "00000000-0000-4000-8000-000000000000",
  "api-key": "00000000-0000-4000-8000-000000000000",
  session: "00000000-0000-4000-8000-000000000000",
  workspace: "00000000-0000-4000-8000-000000000000",
  environment: "no-such-environment",
  registration: "00000000-0000-4000-8000-000000000000",
  lease: "00000000-0000-4000-8000-000000000000",
  event: "999999999",
};

/** Makes one of everything that a path can name. */
async function fill({
  call,
  sequencer,
}: Pick<Awaited<ReturnType<typeof openAdmin>>, "call" | "sequencer">): Promise<Names> {
  const secret = await call("PUT", "/api/v1/secrets", { provider: "openai", value: FAKE_KEY });
  /** A secret with version 2 as its candidate: nobody answers for the provider. */
  const withCandidate = async (environment: string): Promise<string> => {
    const place = { provider: "mistral", environment, value: "FAKE-key-of-nobody-0123-wxyz" };
    const first = await call("PUT", "/api/v1/secrets", { ...place, skipTest: true });
    assert.equal((await call("PUT", "/api/v1/secrets", place)).status, 409);
    return stringAt(first, "secret", "id");
  };
  const activated = await withCandidate("activated");
  const discarded = await withCandidate("discarded");
  await call("POST", "/api/v1/agents/ours/deployments", { environment: "ours" });
  await call("PUT", "/api/v1/providers/ours", { origin: "https://ours.example" });
  const invite = (name: string) =>
    call("POST", "/api/v1/invitations", { email: `${name}@example.test`, role: "operator" });
  const token = stringAt(await invite("user"), "url").split("#token=")[1];
  const password = "a few fake random words";
  const user = await call("POST", "/api/v1/invitations/accept", { token, password }, null);
  const invitation = await invite("invited");
  const apiKey = await call("POST", "/api/v1/api-keys", { name: "ours", role: "viewer" });
  const workspace = await call("POST", "/api/v1/workspaces", { name: "second" });
  const registration = await call("POST", "/api/v1/agents/ours/registrations", {});
  const lease = await call("POST", "/api/v1/agents/ours/leases", {});
  await sequencer.run();
  const events = await call("GET", "/api/v1/audit");
  return {
    event: (events.body["events"] as { id: string }[])[0]?.id ?? "",
    registration: stringAt(registration, "registration", "id"),
    lease: stringAt(lease, "lease", "id"),
    session: NOTHING["session"] ?? "",
    secret: stringAt(secret, "secret", "id"),
    "secret/activate": activated,
    "secret/discard": discarded,
    agent: "ours",
    provider: "ours",
    user: stringAt(user, "me", "id"),
    invitation: stringAt(invitation, "invitation", "id"),
    "api-key": stringAt(apiKey, "apiKey", "id"),
    workspace: stringAt(workspace, "workspace", "id"),
    environment: "ours",
  };
}

/** Orders routes so that what one of them ends is not missed by those after it: a deployment ends leases and registrations. */
function endsLate(name: string): number {
  if (name === "POST /agents/:agent/deployments") return 2;
  if (!name.startsWith("DELETE")) return 0;
  return /:(?:lease|registration)$/.test(name) ? 1 : 3;
}

/** A route as the table above writes it: each parameter by what it names. */
function nameOf({ method, path }: DeclaredRoute): string {
  const named = path.replace(
    /\/([a-z-]+)s\/:(?:id|name)/g,
    (_, kind: string) => `/${kind}s/:${kind}`,
  );
  return `${method} ${named}`;
}

function concrete(route: string, names: Names): { method: string; path: string } {
  const [method = "", path = ""] = route.split(" ");
  return {
    method,
    // One secret has one candidate.
    path: `/api/v1${path.replace(
      /:([a-z-]+)(\/activate|\/discard)?/g,
      (_, kind: string, verb = "") => {
        const name = names[`${kind}${String(verb)}`] ?? names[kind];
        assert.ok(name !== undefined, `nothing stands for :${kind}`);
        return name + String(verb);
      },
    )}`,
  };
}

async function open(t: TestContext) {
  const admin = await openAdmin(t);
  const routes = admin.routes.map((route) => ({ route, name: nameOf(route) }));
  const send = (
    name: string,
    names: Names,
    body?: object,
    key?: string | null,
  ): Promise<Answer> => {
    const { method, path } = concrete(name, names);
    return admin.call(method, path, body, key);
  };
  return { ...admin, routes, send };
}

it("each declared route is in the table, with its permission, and no other is", async (t) => {
  const { routes } = await open(t);
  assert.deepEqual(
    Object.fromEntries(routes.map(({ route, name }) => [name, route.permission])),
    Object.fromEntries(Object.entries(EXPECTED).map(([name, it]) => [name, it.permission])),
  );
});

for (const role of ROLES) {
  it(`a key with the role ${role} gets past exactly where it may`, async (t) => {
    const { routes, send, addKey } = await open(t);
    const key = await addKey(role);
    for (const { route, name } of routes) {
      const { permission = "" } = EXPECTED[name] ?? {};
      const allowed = ALLOWED[permission];
      if (allowed === undefined) continue;
      const { status, body } = await send(name, NOTHING, undefined, key);
      const what = `${name}: ${status} ${String(body["code"])}`;
      if (allowed.includes(role)) {
        assert.ok(status !== 401 && body["code"] !== "role_too_low", what);
        assert.ok(status !== 403 || route.permission === "self", what);
      } else {
        assert.equal(status, 403, what);
        if (permission !== "person") assert.equal(body["code"], "role_too_low", what);
      }
    }
  });
}

it("what is another workspace's is not there, and stays as it is", async (t) => {
  const admin = await open(t);
  const { routes, send, addKey, addWorkspace, owner, workspaceId } = admin;
  const names = await fill(admin);
  const elsewhere = await addWorkspace("elsewhere");
  const stranger = await addKey("owner", elsewhere);
  const ours = (): Promise<unknown[]> => rowsOf(owner, workspaceId);
  const before = await ours();
  // What makes something of the same name in the stranger's workspace comes last: it would then be there.
  const makes = ({ name }: { name: string }): number =>
    (EXPECTED[name]?.elsewhere ?? 404) < 300 ? 1 : 0;
  for (const { name } of routes.toSorted((a, b) => makes(a) - makes(b))) {
    const { permission, body, elsewhere: expected } = EXPECTED[name] ?? { permission: "" };
    if (ALLOWED[permission] === undefined || permission === "person") continue;
    const answer = await send(name, names, body, stranger);
    if (name.includes(":") || expected !== undefined) {
      assert.equal(answer.status, expected, `${name}: ${answer.text}`);
    } else assert.ok(answer.status < 300, `${name}: ${answer.text}`);
    assert.ok(!answer.text.includes(names["secret"] ?? "?"), name);
    assert.deepEqual(await ours(), before, name);
  }
  // The same calls by an owner of ours do something: none of them was refused for another reason.
  for (const { name, route } of routes.toSorted((a, b) => endsLate(a.name) - endsLate(b.name))) {
    const { body, elsewhere: expected } = EXPECTED[name] ?? {};
    if (route.method === "DELETE" ? route.permission === "person" : expected === undefined)
      continue;
    assert.ok((await send(name, names, body)).status < 300, name);
  }
});

it("each success has a status that its route declares", async (t) => {
  const admin = await open(t);
  const { routes, send } = admin;
  const names = await fill(admin);
  for (const { route, name } of routes.toSorted((a, b) => endsLate(a.name) - endsLate(b.name))) {
    const { body, permission } = EXPECTED[name] ?? { permission: "" };
    const asksNoKey = ALLOWED[permission] === undefined && route.method !== "GET";
    if (asksNoKey || permission === "person") continue;
    const { status, text } = await send(name, names, body);
    const declared = route.success ?? [route.answer === undefined ? 204 : 200];
    assert.ok(
      declared.some((each) => each === status),
      `${name}: ${status} ${text}`,
    );
  }
});

it("without a live key each route answers the same 401", async (t) => {
  const { routes, send, clock, url } = await open(t);
  const attempts = [
    undefined,
    "Bearer ",
    "Bearer nonsense",
    `Bearer x3skey_${"A".repeat(32)}`,
    `Bearer x3sproxy_${"A".repeat(32)}`,
    `Basic ${Buffer.from("admin:admin").toString("base64")}`,
    "Bearer ' or 1=1 --",
  ];
  const texts = new Set<string>();
  for (const { name } of routes) {
    const { permission = "", body } = EXPECTED[name] ?? {};
    if (ALLOWED[permission] === undefined) continue;
    const { method, path } = concrete(name, NOTHING);
    for (const authorization of attempts) {
      clock.advance(60_000); // past the limit on failures
      const answer = await fetch(url + path, {
        method,
        headers: {
          ...(authorization !== undefined && { authorization }),
          ...(body !== undefined && { "content-type": "application/json" }),
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
      assert.equal(answer.status, 401, `${name} with ${authorization ?? "nothing"}`);
      assert.equal(answer.headers.get("www-authenticate"), 'Bearer realm="x3sproxy"');
      texts.add(await answer.text());
    }
    assert.equal((await send(name, NOTHING, body, null)).status, 401, name);
  }
  assert.equal(texts.size, 1);
});

/** Every row of every table that belongs to a workspace. */
async function rowsOf(
  owner: Awaited<ReturnType<typeof openAdmin>>["owner"],
  workspaceId: string,
): Promise<unknown[]> {
  const tables = await owner<{ name: string }[]>`
    select table_name as name from information_schema.columns
    where table_schema = 'x3sproxy' and column_name = 'workspace_id' order by 1`;
  assert.ok(tables.length >= 8);
  const rows: unknown[] = [];
  for (const { name } of tables) {
    rows.push(
      name,
      ...(await owner`
        select to_jsonb(t) as row from x3sproxy.${owner(name)} t
        where workspace_id = ${workspaceId} order by to_jsonb(t)::text`),
    );
  }
  return rows;
}
