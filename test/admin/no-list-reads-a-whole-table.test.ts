// Every way to ask a GET route, as its schema has it, on tables that have grown: what Postgres then really does is looked at. A filter
// that is new has to be given values here, and an index.
import assert from "node:assert/strict";
import { test } from "node:test";
import type postgres from "postgres";
import { z } from "zod";
import { API_KEY_PREFIX, hashBearer, newBearer, newId } from "../../src/platform/ids.ts";
import { idOf, OFTEN, SELDOM } from "../support/history.ts";
import { FAKE_KEY, stringAt, type Answer, type DeclaredRoute } from "./fixture.ts";
import { faults, MOST_READ, openGrown } from "./grown.ts";

type Ask = (path: string) => Promise<Answer>;

const PAGING = new Set(["limit", "cursor"]);
/** What looks at as many events in one step as this, while a whole log is exported. */
const MOST_OF_EXPORT = 10_000;
/** Answers that add up a day: along an index, too, but as long as that was. */
const SUMS = new Set(["/agents", "/agents/:name"]);
/** Answers that add up all that there is of a week, or what each master key seals, which may be most of a table. */
const WHOLE = new Set(["/overview", "/master-keys"]);
const DAY_MS = 86_400_000;
const daysAgo = (days: number): string => new Date(Date.now() - days * DAY_MS).toISOString();

/** What each parameter is tried with. */
const VALUES: Readonly<Record<string, readonly string[]>> = {
  action: [OFTEN.action, SELDOM.action, "workspace.delete"],
  actor: [OFTEN.agent, SELDOM.actor, idOf(SELDOM.actor), idOf("nobody")],
  target: ["openai/production", SELDOM.target, idOf(SELDOM.target), "nothing"],
  agent: [OFTEN.agent, SELDOM.agent, "nobody"],
  provider: [OFTEN.provider, SELDOM.provider, "nobody"],
  from: [daysAgo(200), daysAgo(1), daysAgo(-1)],
  to: [daysAgo(20), daysAgo(250), daysAgo(1000)],
  "/audit/checkpoint from": ["1000"],
  query: ["e", SELDOM.agent, "nothing"],
  environment: ["production", "nowhere"],
  mayUse: [OFTEN.provider, SELDOM.provider, "nobody"],
  used: [OFTEN.provider, SELDOM.provider, "nobody"],
  hours: ["24", "168"],
  format: ["jsonl", "csv"],
};

test("no list reads a whole table, whatever it is asked for", { timeout: 110_000 }, async (t) => {
  const { admin, watch, owner } = await openGrown(t);
  const saved = await admin.first.call("PUT", "/secrets", { provider: "openai", value: FAKE_KEY });
  assert.equal(saved.status, 201, saved.text);
  const places = {
    name: OFTEN.agent,
    id: stringAt(saved, "secret", "id"),
    event: "1500",
  };
  const narrow = await addNarrowKey(owner, admin.workspaceId);

  const asks: Readonly<Record<string, Ask>> = {
    "an owner": (path) => admin.first.call("GET", path),
    "a viewer of some agents": (path) => admin.call("GET", `/api/v1${path}`, undefined, narrow),
  };
  const found: string[] = [];
  const asked = new Map<string, number>();
  for (const [who, ask] of Object.entries(asks)) {
    for (const route of admin.routes.filter(isAsked)) {
      if (who !== "an owner" && !["/activity", "/agents", "/overview"].includes(route.path)) {
        continue;
      }
      for (const path of pathsOf(route, places)) {
        watch.take();
        // One is read to its end.
        if (route.streams !== undefined && path.includes("?")) {
          await beginExport(`${admin.url}/api/v1${path}`, admin.apiKey);
        } else {
          const { nextCursor } = await askWell(ask, path);
          if (typeof nextCursor === "string") {
            await askWell(ask, `${path}${path.includes("?") ? "&" : "?"}cursor=${nextCursor}`);
          }
        }
        const plans = watch.take();
        if (!WHOLE.has(route.path)) {
          found.push(
            ...faults(plans, mostOf(route.path)).map((fault) => `${who}: ${path}: ${fault}`),
          );
        }
        asked.set(route.path, (asked.get(route.path) ?? 0) + plans.length);
      }
    }
  }
  assert.deepEqual(found, []);
  const unseen = [...asked].filter(([, plans]) => plans === 0).map(([path]) => path);
  assert.deepEqual(unseen, [], "whoever asks is looked up, too");
});

/** What asks the database for something. */
function isAsked({ method, permission }: DeclaredRoute): boolean {
  return method === "GET" && permission !== "public";
}

/** Sets of the parameters, with the first value of each, the second of each, and so on. */
function pathsOf(route: DeclaredRoute, places: Readonly<Record<string, string>>): string[] {
  const path = route.path.replaceAll(/:(\w+)/g, (_, name: string) => places[name] ?? "");
  const query = route.query;
  if (query === undefined) return [path];
  assert.ok(query instanceof z.ZodObject, `${route.path} has a query that can't be tried`);
  const names = Object.keys(query.shape).filter((name) => !PAGING.has(name));
  const mostAtOnce = route.streams === undefined ? names.length : 1;
  const valuesOf = (name: string): readonly string[] => {
    const values = VALUES[`${route.path} ${name}`] ?? VALUES[name];
    assert.ok(values !== undefined, `give values for ${name} of ${route.path}`);
    return values;
  };
  const paths = new Set<string>();
  for (let set = 0; set < 2 ** names.length; set++) {
    const chosen = names.filter((_, place) => (set >> place) % 2 === 1);
    // Each alone, each two, and all of them.
    if (chosen.length > mostAtOnce || (chosen.length > 2 && chosen.length < names.length)) continue;
    // An export reads on to its first events, so it is begun once for each.
    const turns = chosen.length === 1 && route.streams === undefined ? 4 : 1;
    for (let turn = 0; turn < turns; turn++) {
      const pairs = chosen.map((name) => {
        const values = valuesOf(name);
        return [name, values[turn % values.length] ?? ""];
      });
      const text = new URLSearchParams(pairs).toString();
      paths.add(text === "" ? path : `${path}?${text}`);
    }
  }
  return [...paths];
}

async function askWell(ask: Ask, path: string): Promise<Readonly<Record<string, unknown>>> {
  const answer = await ask(path);
  assert.equal(answer.status, 200, `${path}: ${answer.text.slice(0, 300)}`);
  return answer.body;
}

async function beginExport(url: string, apiKey: string): Promise<void> {
  const ending = new AbortController();
  const headers = { authorization: `Bearer ${apiKey}` };
  const response = await fetch(url, { headers, signal: ending.signal });
  assert.equal(response.status, 200);
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  for (let bytes = 0; bytes < 20_000;) {
    const { value, done } = await reader.read();
    if (done) break;
    bytes += value.length;
  }
  ending.abort();
}

/** How many rows one step may read. */
function mostOf(path: string): number {
  if (path === "/audit/export") return MOST_OF_EXPORT;
  return SUMS.has(path) ? Infinity : MOST_READ;
}

async function addNarrowKey(owner: postgres.Sql, workspaceId: string): Promise<string> {
  const key = newBearer(API_KEY_PREFIX);
  await owner`
    insert into x3sproxy.api_keys (id, workspace_id, name, hash, role, agents)
    values (${newId()}, ${workspaceId}, 'narrow', ${Buffer.from(hashBearer(key), "hex")}, 'viewer',
      array[${SELDOM.agent}, ${OFTEN.agent}, 'nobody'])`;
  return key;
}
