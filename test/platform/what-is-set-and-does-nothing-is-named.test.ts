import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import fc from "fast-check";
import { runCli } from "../cli/fixture.ts";
import { lookWith } from "../doctor/fixture.ts";
import { readConfig } from "../../src/platform/config.ts";
import { SETTINGS } from "../../src/platform/setting-doubts.ts";
import { inputs } from "../support/generated.ts";

const said = (env: Record<string, string>): string[] =>
  readConfig(env).doubts.map(({ what, fix }) => `${what} ${fix}`);

describe("what is set and does nothing is named", () => {
  it("the names that are known are those that are read", () => {
    const source = readFileSync(new URL("../../src/platform/config.ts", import.meta.url), "utf8");
    const read = new Set(source.match(/\bX3SPROXY_[A-Z_]*[A-Z]\b/g));
    assert.deepEqual([...read].sort(), [...SETTINGS].sort());
  });

  it("a misspelt setting, with the one that was meant", () => {
    for (const [name, meant] of [
      ["X3SPROXY_PROXY_ADRR", "X3SPROXY_PROXY_ADDR"],
      ["X3SPROXY_PROXY_ADDRESS", "X3SPROXY_PROXY_ADDR"],
      ["X3SPROXY_TRUSTED_PROXYS", "X3SPROXY_TRUSTED_PROXIES"],
      ["X3SPROXY_DASHBOARD", "X3SPROXY_DASHBOARD_URL"],
      ["X3PROXY_DATA_DIR", "X3SPROXY_DATA_DIR"],
      ["x3sproxy_workers", "X3SPROXY_WORKERS"],
      ["X3SPROXY_DATABASE_URL", "DATABASE_URL"],
    ] as const) {
      assert.deepEqual(said({ [name]: "x" }), [
        `${name} is no setting of x3sproxy, and does nothing. Did you mean ${meant}?`,
      ]);
    }
    assert.deepEqual(said({ X3SPROXY_NONSENSE: "x" }), [
      "X3SPROXY_NONSENSE is no setting of x3sproxy, and does nothing. All settings are in docs/settings.md.",
    ]);
  });

  it("any setting with a letter too few, too many, wrong or swapped", () => {
    const slip = fc.record({
      setting: fc.constantFrom(...SETTINGS),
      at: fc.nat(100),
      kind: fc.constantFrom("drop", "add", "replace", "swap"),
      letter: fc.constantFrom(...("ABCDEFGHIJKLMNOPQRSTUVWXYZ_".match(/./g) ?? [])),
    });
    fc.assert(
      fc.property(slip, ({ setting, at, kind, letter }) => {
        const place = 9 + (at % (setting.length - 9));
        const [head, here, next] = [setting.slice(0, place), setting[place], setting[place + 1]];
        const changed = {
          drop: head + setting.slice(place + 1),
          add: head + letter + setting.slice(place),
          replace: head + letter + setting.slice(place + 1),
          swap: `${head}${next ?? ""}${here ?? ""}${setting.slice(place + 2)}`,
        }[kind];
        fc.pre(!SETTINGS.includes(changed));
        const [only, ...more] = readConfig({ [changed]: "x" }).doubts;
        assert.deepEqual(more, []);
        assert.ok(only?.what.startsWith(`${changed} is no setting`) === true);
        assert.match(only.fix, /^Did you mean X3SPROXY_[A-Z_]+\?$/);
      }),
      inputs(14_12, 300),
    );
  });

  it("nothing that is known, that a cluster sets for a Service, or that is another program's", () => {
    assert.deepEqual(
      said({
        X3SPROXY_TOKEN: "x",
        X3SPROXY_URL: "x",
        X3SPROXY_API_KEY: "x",
        X3SPROXY_ORIGIN_AZURE_OPENAI: "https://llm.example.test",
        X3SPROXY_PROXY_ADRR: " ",
        X3SPROXY_SERVICE_HOST: "10.0.0.1",
        X3SPROXY_SERVICE_PORT: "8787",
        X3SPROXY_SERVICE_PORT_ADMIN: "8788",
        X3SPROXY_PORT: "tcp://10.0.0.1:8787",
        X3SPROXY_PORT_8787_TCP: "tcp://10.0.0.1:8787",
        X3SPROXY_PORT_8787_TCP_PROTO: "tcp",
        X3SPROXY_PORT_8787_TCP_ADDR: "10.0.0.1",
        X3SPROXY_ADMIN_SERVICE_HOST: "10.0.0.2",
        X3SPROXY_ADMIN_PORT: "tcp://10.0.0.2:8788",
        X3_OTHER_PROGRAM: "x",
      }),
      [],
    );
    assert.equal(said({ X3SPROXY_PORT: "8787" }).length, 1);
  });

  it("neither a value nor a name that may be one is repeated", () => {
    const key = "sk-proj-FAKE-key-in-the-wrong-place";
    const all = said({ [`X3SPROXY_${key}`]: "x", X3SPROXY_API_KEI: key }).join("\n");
    assert.ok(!all.includes(key));
    assert.match(all, /^X3SPROXY_… is no setting/m);
  });

  it("entries of NO_PROXY that can't be read, where there is a proxy to go past", () => {
    const NO_PROXY = "10.0.0.0/8,10.0.0.0/33 http://x.test,192.168.*,*.corp.test,[::1]:443,a@b:c";
    const HTTPS_PROXY = "http://proxy.test:3128";
    assert.deepEqual(
      said({ HTTPS_PROXY, NO_PROXY }).map((sentence) => sentence.split(" can't")[0]),
      ["10.0.0.0/33", "http://x.test", "192.168.*", "entry 7"].map((it) => `NO_PROXY: ${it}`),
    );
    assert.deepEqual(said({ NO_PROXY }), []);
  });

  it("by the doctor, and before anything else at the start", async () => {
    const { findings } = await lookWith({ X3SPROXY_PROXY_ADRR: "x" });
    const found = findings.filter(({ id }) => id === "settings");
    assert.deepEqual(
      found.map(({ severity, fix }) => ({ severity, fix })),
      [{ severity: "warning", fix: "Did you mean X3SPROXY_PROXY_ADDR?" }],
    );
    const environment = {
      X3SPROXY_PROXY_ADRR: "x",
      X3SPROXY_MASTER_KEY: `${"A".repeat(43)}=`,
      DATABASE_URL: "postgres://ada:FAKE-password@127.0.0.1:1/none",
    };
    const { status, stdout, stderr } = await runCli(["serve"], { environment });
    assert.equal(status, 1);
    const [line = ""] = stdout.split("\n");
    assert.partialDeepStrictEqual(JSON.parse(line), {
      level: 40,
      msg: "X3SPROXY_PROXY_ADRR is no setting of x3sproxy, and does nothing. Did you mean X3SPROXY_PROXY_ADDR?",
    });
    assert.match(stderr, /the server 127\.0\.0\.1:1 can't be reached or used \(ECONNREFUSED\)/);
    assert.doesNotMatch(stderr, /FAKE-password/);
  });
});

it("a dashboard under a path is refused, with what to write", () => {
  for (const url of ["https://x3s.example.test/dash", "https://x3s.example.test/a/b/"]) {
    assert.throws(() => readConfig({ X3SPROXY_DASHBOARD_URL: url }), {
      name: "ConfigError",
      message: /X3SPROXY_DASHBOARD_URL: leave out the path; write https:\/\/x3s\.example\.test, /,
    });
  }
  const { dashboardUrl } = readConfig({ X3SPROXY_DASHBOARD_URL: "https://x3s.example.test/" });
  assert.equal(dashboardUrl, "https://x3s.example.test");
});
