import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { z } from "zod";
import { scopeTemplates } from "../../src/scopes/index.ts";
import { builtInProviders } from "../../src/providers/index.ts";
import { custom } from "../../src/providers/custom-models.ts";
import { SETTINGS } from "../../src/setting-doubts.ts";
import { settings } from "../../src/settings.ts";
import { PAGE_FILE, settingsPage } from "../support/settings-page.ts";

const read = (path: string): string =>
  readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");

test("docs/providers.md has a row for each provider and each sensitive endpoint, and no other", () => {
  const text = read("docs/providers.md");
  const rows = [...text.matchAll(/^\| `([a-z-]+)` \| [^|]+ \| ([^|]+) \|/gm)];
  assert.deepEqual(
    rows.map(([, name, origin]) => [name, origin]),
    [...builtInProviders.values()].map(({ name, origin }) => [
      name,
      origin ?? "given with each secret",
    ]),
  );
  const endpoints = [...text.matchAll(/^\| `([a-z-]+:[a-z-]+)` \| (\S+) \| (.*) \|$/gm)];
  assert.deepEqual(
    endpoints.map(([, name, method, paths]) => [name, method, paths?.match(/[^` ]+/g)]),
    [...builtInProviders.values()].flatMap((provider) =>
      provider.sensitiveEndpoints.map(({ name, method, paths }) => [
        `${provider.name}:${name}`,
        method,
        [...paths],
      ]),
    ),
  );
});

const PLACES = {
  json: "JSON",
  form: "form",
  "json form": "JSON or form",
  query: "query",
  path: "path",
  "path json": "path and JSON",
  none: "no model",
} as const;

/** Rows of a provider and its members, fields, parameters and headers. */
function membersIn(text: string): (readonly [string | undefined, string[] | undefined])[] {
  const rows = text.matchAll(/^\| `([a-z-]+)` \| ((?:(?:header )?`[\w.[\]*-]+` ?)+) \|$/gm);
  return [...rows].map(([, name, list]) => [
    name,
    list?.match(/[^` ]+/g)?.filter((it) => it !== "header"),
  ]);
}

test("docs/providers.md has each place of a model, each rival of it, and no other", () => {
  const text = read("docs/providers.md");
  const providers = [...builtInProviders.values(), { name: "custom", models: custom }];
  const places = [...text.matchAll(/^\| ([A-Z*]+) \| `([a-z-]+)` \| ([^|]+) \| (.*) \|$/gm)];
  assert.deepEqual(
    places.map(([, method, name, where, paths]) => [name, method, where, paths?.match(/[^` ]+/g)]),
    providers.flatMap(({ name: provider, models }) =>
      models.places.map(({ method, at, name, paths }) => {
        const isIn = at === "path" || at === "path json" || at === "none";
        const where = isIn ? PLACES[at] : `${PLACES[at]}, \`${name}\``;
        return [provider, method, where, [...paths]];
      }),
    ),
  );
  const [furtherOnes = [], rivals = []] = text
    .split("chooses a model in another way")
    .map(membersIn);
  assert.deepEqual(
    furtherOnes,
    providers
      .map(({ name, models: { places } }) => {
        const members = places.flatMap(({ also = [], tools = [] }) => [
          ...also,
          ...tools.map((tool) => `${tool}.model`),
        ]);
        return [name, [...new Set(members)]] as const;
      })
      .filter(([, list]) => list.length > 0),
  );
  assert.deepEqual(
    rivals,
    providers
      .map(({ name, models: { places, rivals: ofRow, rivalHeaders = [] } }) => {
        const ofPlaces = places.flatMap((place) => place.rivals ?? []);
        return [name, [...new Set([...ofRow, ...ofPlaces]), ...rivalHeaders]] as const;
      })
      .filter(([, list]) => list.length > 0),
  );
});

test("docs/scopes.md has each template with its rules, and no other", () => {
  const rows = [...read("docs/scopes.md").matchAll(/^\| `([a-z-]+)` \| ((?:`[^`]+` ?)+) \|$/gm)];
  assert.deepEqual(
    rows.map(([, name, rules]) => [
      name,
      [...(rules ?? "").matchAll(/`([^`]+)`/g)].map((it) => it[1]),
    ]),
    scopeTemplates.map(({ name, rules }) => [name, [...rules]]),
  );
});

test("docs/refusals.md names each refusal reason with its status", () => {
  const union = /export type RefusalReason =([^;]+);/.exec(read("src/errors.ts"))?.[1] ?? "";
  const reasons = [...union.matchAll(/"([a-z_]+)"/g)].map(([, reason]) => reason);
  const documented = [
    ...read("docs/refusals.md").matchAll(/^\| ((?:`[a-z_]+`(?:, )?)+) \| \d{3} /gm),
  ].flatMap(([, names]) => names?.match(/[a-z_]+/g) ?? []);
  assert.ok(reasons.length > 20);
  assert.deepEqual([...documented].sort(), [...reasons].sort());
});

test("docs/settings.md is made from the table of settings", () => {
  const renew = "after a change of the settings run: node test/support/settings-page.ts --write";
  assert.equal(readFileSync(PAGE_FILE, "utf8"), settingsPage(), renew);
});

test("each setting says what it is for and what its value looks like", () => {
  for (const [name, schema] of Object.entries(settings)) {
    const { description, wants } = z.toJSONSchema(schema, { io: "input" });
    assert.ok(typeof description === "string" && description.length > 3, name);
    assert.ok(typeof wants === "string" && wants.length > 3, name);
  }
});

test("README.md names no setting that there isn't", () => {
  const known: readonly string[] = [...SETTINGS, "X3SPROXY_ORIGIN", "X3SPROXY_TOKEN"];
  for (const setting of new Set(read("README.md").match(/\bX3SPROXY_[A-Z_]*[A-Z]\b/g))) {
    const isOrigin = setting.startsWith("X3SPROXY_ORIGIN_");
    assert.ok(isOrigin || known.includes(setting), `${setting} is in README.md and not read`);
  }
});
