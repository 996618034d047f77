// Rules, dashboard and documentation against the metrics of a real service, as far as promtool and we can tell.
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { createTestDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { createHttpUpstream } from "../support/http-upstream.ts";
import { findPromtool, type Promtool, type PromtoolResult } from "../support/promtool.ts";
import { runService } from "../support/service.ts";
import { readFamilies, readSamples, valueOf } from "./exposition.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const RULES = `${ROOT}ops/prometheus/alerts.yaml`;
const RULE_TESTS = `${ROOT}ops/prometheus/alerts.test.yaml`;
const KEY = "sk-FAKE-real-key-0123456789-abcdefghij";
// What Prometheus itself makes.
const OF_PROMETHEUS = new Set(["up", "ALERTS"]);
const METRIC = /(?<![\w:"$])(?:up|(?:x3sproxy|process|nodejs)_[a-z0-9_]+)(?![\w:"])/g;
const RECORD = /\b(?:job|job_provider):[a-z0-9_]+:[a-z0-9_]+/g;

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: { x: number; y: number; w: number; h: number };
  readonly targets?: readonly { readonly expr: string }[];
}

interface Dashboard {
  readonly schemaVersion: number;
  readonly panels: readonly Panel[];
  readonly annotations: { readonly list: readonly { readonly expr: string }[] };
  readonly templating: { readonly list: readonly { name: string; definition?: string }[] };
}

let promtool: Promtool;
let text: string;
let rules: string;
let dashboard: Dashboard;
const closers: (() => Promise<unknown>)[] = [];

before(async () => {
  promtool = await findPromtool();
  closers.push(() => promtool.close());
  const database = await createTestDatabase();
  closers.push(() => database.drop());
  const upstream = await createHttpUpstream(
    (request, response) => void request.resume().on("end", () => response.end()),
  );
  closers.push(() => upstream.close());
  const service = await runService({
    database,
    env: {
      X3SPROXY_ORIGIN_OPENAI: upstream.origin,
      X3SPROXY_ALLOW_PRIVATE_UPSTREAMS: "127.0.0.0/8",
    },
  });
  closers.push(() => service.remove());
  await service.setSecret("openai", KEY);
  const authorization = `Bearer ${await service.deploy("agent")}`;
  const call = await fetch(`${service.proxyUrl}/openai/v1/responses`, {
    headers: { authorization },
  });
  assert.equal(call.status, 200);
  text = await eventually(async () => {
    const answer = await fetch(`${service.metricsUrl}/metrics`);
    assert.equal(answer.headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    const read = await answer.text();
    // The call ends when its client has all of it, a moment after that knows so.
    const isOver = valueOf(read, "x3sproxy_exchanges_total") === 1;
    return isOver && valueOf(read, "x3sproxy_database_up") === 1 && read;
  });
  rules = await readFile(RULES, "utf8");
  dashboard = JSON.parse(await readFile(`${ROOT}ops/grafana/dashboard.json`, "utf8")) as Dashboard;
});

after(async () => {
  for (const close of closers.reverse()) await close();
});

/** Every name that a sample has or could have: what is not known yet has none. */
function exposed(): Set<string> {
  const suffixes = ["_bucket", "_sum", "_count"];
  const names = readFamilies(text).flatMap(({ name, type }) =>
    type === "histogram" ? suffixes.map((suffix) => name + suffix) : [name],
  );
  for (const { name } of readSamples(text)) {
    assert.ok(names.includes(name) || !name.startsWith("x3sproxy_"), name);
  }
  return new Set([...names, ...readSamples(text).map(({ name }) => name)]);
}

/** The metrics that an expression names, and ours of them that are not there. */
function missingIn(expression: string): string[] {
  const there = exposed();
  const names = expression.match(METRIC) ?? [];
  assert.ok(names.length > 0 || RECORD.test(expression), `names no metric: ${expression}`);
  return names.filter((name) => !there.has(name) && !OF_PROMETHEUS.has(name));
}

function alertNames(): string[] {
  return [...rules.matchAll(/- alert: (\w+)/g)].map(([, name = ""]) => name);
}

describe("what ops/ holds fits the metrics", () => {
  test("promtool takes the rules, the example configuration and every metric", async () => {
    for (const [args, input] of [
      [["check", "rules", RULES], ""],
      [["check", "config", `${ROOT}ops/prometheus/prometheus.yaml`], ""],
      [["check", "metrics"], text],
    ] as const) {
      const { status, output } = await promtool.run(args, input);
      assert.equal(status, 0, output);
    }
    const misnamed = await promtool.run(
      ["check", "metrics"],
      "# HELP a_total a\n# TYPE a_total gauge\na_total 1\n",
    );
    assert.equal(misnamed.status, 3, "promtool finds fault where there is some");
  });

  test("each alert fires, and does not at its bound", async () => {
    const { status, output } = await promtool.run(["test", "rules", RULE_TESTS]);
    assert.equal(status, 0, output);
    const tests = await readFile(RULE_TESTS, "utf8");
    for (const name of alertNames()) {
      const results = [
        ...tests.matchAll(new RegExp(`alertname="${name}".*\\n.*\\n\\s+exp_samples: (.*)`, "g")),
      ];
      const fires = results.filter(([, samples]) => samples !== "[]");
      assert.ok(fires.length > 0, `${name} is seen to fire`);
      const quiet = results.length > fires.length;
      const besides = tests
        .split(`- name: ${name}`)[1]
        ?.split("- name:")[0]
        ?.match(/job="(?!fires|x3sproxy-a)/g);
      assert.ok(quiet || besides !== undefined, `${name} is seen not to fire`);
    }
  });

  test("each alert says how bad it is, and where to read what to do", async () => {
    const docs = await readFile(`${ROOT}docs/monitoring.md`, "utf8");
    const headings = new Set(
      [...docs.matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) => heading.toLowerCase()),
    );
    const alerts = rules.split("- alert: ").slice(1);
    assert.ok(alerts.length >= 25);
    for (const alert of alerts) {
      assert.match(alert, /severity: (critical|warning|info)/);
      for (const part of ["summary", "description"]) assert.match(alert, new RegExp(`${part}: "`));
      const anchor = /runbook_url: docs\/monitoring\.md#(\w+)/.exec(alert)?.[1] ?? "none";
      assert.ok(headings.has(anchor), `docs/monitoring.md has no ${anchor}`);
    }
  });

  test("the rules name only metrics and records that there are", () => {
    const records = new Set([...rules.matchAll(/- record: (\S+)/g)].map(([, name = ""]) => name));
    const expressions = [
      ...rules.matchAll(/expr: (?:>-\n)?([^]*?)\n\s+(?:for|labels|- record|- alert):?/g),
    ];
    assert.ok(expressions.length >= alertNames().length);
    for (const [, expression = ""] of expressions) {
      assert.deepEqual(missingIn(expression), [], expression);
      for (const record of expression.match(RECORD) ?? []) assert.ok(records.has(record), record);
    }
    assert.deepEqual(missingIn("x3sproxy_no_such_total / up"), ["x3sproxy_no_such_total"]);
  });

  test("the dashboard names only metrics that there are, and its panels do not overlap", () => {
    assert.ok(dashboard.schemaVersion >= 39);
    const ids = new Set<number>();
    const taken = new Set<string>();
    let expressions = 0;
    for (const { id, type, title, gridPos, targets = [] } of dashboard.panels) {
      assert.ok(!ids.has(id), `two panels have the id ${id}`);
      ids.add(id);
      assert.equal(targets.length === 0, type === "row", title);
      for (const { expr } of targets) {
        expressions++;
        assert.deepEqual(missingIn(expr), [], `${title}: ${expr}`);
        assert.ok(
          expr.includes('{job=~"$job",instance=~"$instance"'),
          `${title} heeds the choice above`,
        );
      }
      assert.ok(gridPos.x + gridPos.w <= 24, title);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          assert.ok(!taken.has(`${x} ${y}`), `${title} overlaps another panel`);
          taken.add(`${x} ${y}`);
        }
      }
    }
    assert.ok(expressions > 50);
    for (const { expr } of dashboard.annotations.list) assert.deepEqual(missingIn(expr), []);
    const variables = dashboard.templating.list.map(({ name }) => name);
    assert.deepEqual(variables, ["datasource", "job", "instance"]);
    for (const { definition } of dashboard.templating.list) {
      if (definition !== undefined) assert.deepEqual(missingIn(definition), []);
    }
  });

  test("promtool takes the dashboard's expressions", async (t) => {
    const expressions = [
      ...dashboard.annotations.list.map(({ expr }) => expr),
      ...dashboard.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr)),
    ].map((expr) => expr.replaceAll("$__rate_interval", "1m"));
    const rules = expressions.map((expr, i) => ({ record: `x${i}`, expr }));
    const folder = await mkdtemp(join(tmpdir(), "x3sproxy-dashboard-"));
    t.after(() => rm(folder, { recursive: true }));
    const check = async (all: object[]): Promise<PromtoolResult> => {
      const file = join(folder, "rules.yaml");
      await writeFile(file, JSON.stringify({ groups: [{ name: "dashboard", rules: all }] }));
      return promtool.run(["check", "rules", file]);
    };
    const { status, output } = await check(rules);
    assert.equal(status, 0, output);
    assert.notEqual((await check([{ record: "x", expr: "sum by (" }])).status, 0);
  });

  test("each metric of ours is in the documentation with its type and labels, and no other is", async () => {
    const docs = await readFile(`${ROOT}docs/monitoring.md`, "utf8");
    const rows = [...docs.matchAll(/^\| `(x3sproxy_\w+)` \| (\w+) \| ([^|]*)\|/gm)].map(
      ([, name = "", type = "", labels = ""]) => ({
        name,
        type,
        labels: [...labels.matchAll(/`(\w+)`/g)].map(([, label = ""]) => label).sort(),
      }),
    );
    const samples = readSamples(text);
    const families = readFamilies(text).filter(({ name }) => name.startsWith("x3sproxy_"));
    for (const { name, help } of families) assert.match(help, /\S.*\.$/, `${name} says what it is`);
    assert.deepEqual(
      rows.map(({ name, type }) => `${name} ${type}`).sort(),
      families.map(({ name, type }) => `${name} ${type}`).sort(),
    );
    const absent: string[] = [];
    for (const { name, labels } of rows) {
      const found = samples.find(
        (sample) => sample.name === name || sample.name === `${name}_count`,
      );
      if (found === undefined) absent.push(name);
      else assert.deepEqual(labels, Object.keys(found.labels).sort(), name);
    }
    assert.deepEqual(absent, ["x3sproxy_certificate_expiry_timestamp_seconds"]);
  });
});
