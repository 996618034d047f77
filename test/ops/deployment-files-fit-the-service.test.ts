// The files that people deploy with: each setting in them is one that the service has, with a value that it takes; ports agree; and
// each platform waits longer for an end than the service takes for it.
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, relative, resolve } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { parse, parseAllDocuments } from "yaml";
import { parseDuration } from "../../src/platform/config-values.ts";
import { readConfig, type Config } from "../../src/platform/config.ts";
import { settings } from "../../src/platform/settings.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
// What a process does after its drain.
const AFTER_DRAIN_MS = 20_000;
const SETTING = /\b(?:X3SPROXY_[A-Z0-9_]*[A-Z0-9]|(?:DATABASE|REDIS)_URL(?:_FILE)?)\b/g;

interface Mapping {
  readonly [name: string]: unknown;
}

let folder: string;
let image: Record<string, string>;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "x3sproxy-ops-"));
  await writeFile(join(folder, "database-url"), "postgres://FAKE@db/x3sproxy\n");
  image = envOfDockerfile(await text("Dockerfile"));
});
after(() => rm(folder, { recursive: true, force: true }));

const FILES = [
  "Dockerfile",
  "fly.toml",
  "ops/compose/compose.yaml",
  "ops/kubernetes/x3sproxy.yaml",
];

for (const file of FILES) {
  test(`${file} names settings that there are`, async () => {
    const named = new Set((await text(file)).match(SETTING));
    assert.ok(named.size > 0);
    for (const name of named) {
      assert.ok(Object.hasOwn(settings, name), name);
    }
  });
}

test("the image runs as a number, without a shell, on the Node of package.json", async () => {
  const dockerfile = await text("Dockerfile");
  const last = dockerfile.slice(dockerfile.lastIndexOf("\nFROM "));
  assert.match(last, /^USER [1-9]\d*:[1-9]\d*$/m);
  for (const word of ["ENTRYPOINT", "CMD"])
    assert.match(last, new RegExp(`^ *${word} \\[".+"\\]$`, "m"));
  assert.doesNotMatch(dockerfile, /^FROM \S*\./m, "a base by its plain name");
  const { devDependencies } = JSON.parse(await text("package.json")) as {
    devDependencies: { node: string };
  };
  assert.equal(/^ARG NODE=node:(\d+)/m.exec(dockerfile)?.[1], devDependencies.node.split(".")[0]);
  const config = configOf(image);
  const ports = [config.proxyAddress.port, config.adminAddress.port, config.metricsAddress.port];
  assert.deepEqual(/^EXPOSE (.+)$/m.exec(last)?.[1]?.split(" ").map(Number), ports);
  assert.ok(last.includes(`127.0.0.1:${config.metricsAddress.port}/healthz`));
});

/** Lines of a file that set X3SPROXY_TRUSTED_PROXIES to more than single addresses, or that are in force. */
function widelyTrusting(content: string): string[] {
  return [...content.matchAll(/^.*X3SPROXY_TRUSTED_PROXIES\W+(.*)$/gm)].flatMap(
    ([line, value = ""]) => {
      const blocks = value.match(/[0-9a-f.:]+(?:\/\d+)?/g) ?? [];
      const single = blocks.every((block) => /^[\d.]+(?:\/32)?$|\/128$/.test(block));
      return /^\s*#/.test(line) && single ? [] : [line];
    },
  );
}

test("no file trusts a range that agents can live in", async () => {
  for (const bad of [
    "X3SPROXY_TRUSTED_PROXIES: 10.0.0.5",
    "  # X3SPROXY_TRUSTED_PROXIES: 10.0.0.0/8",
    '# X3SPROXY_TRUSTED_PROXIES = "fdaa::/16"',
  ]) {
    assert.deepEqual(widelyTrusting(`a\n${bad}\nb`), [bad], "it would be found");
  }
  for (const file of FILES) assert.deepEqual(widelyTrusting(await text(file)), [], file);
  const { trustedProxies } = configOf({ DATABASE_URL: "postgres://FAKE@db/x3sproxy" });
  assert.deepEqual(trustedProxies, [], "which is what an absent setting means");
});

test("the image's first stage copies all that the dashboard is built from", async () => {
  const copied = [...(await text("Dockerfile")).matchAll(/^COPY (src\/\S+) \1$/gm)].map(
    ([, it = ""]) => it,
  );
  assert.ok(copied.includes("src/dashboard"));
  const seen = new Set(["src/dashboard/build.ts", "src/dashboard/main.tsx"]);
  for (const file of seen) {
    for (const [, spec = ""] of (await text(file)).matchAll(
      /(?:from |import\()"(\.[^"]+\.tsx?)"/g,
    )) {
      const found = relative(ROOT, resolve(ROOT, dirname(file), spec));
      seen.add(found);
      assert.ok(
        copied.some((it) => found === it || found.startsWith(`${it}/`)),
        `${found}, which ${file} imports, is copied`,
      );
    }
  }
  assert.ok(seen.size > 80, `${seen.size} files`);
});

test("fly.toml: ports, checks and times", async () => {
  const toml = sectionsOf(await text("fly.toml"));
  const env = toml.find(({ name }) => name === "env")?.values ?? {};
  const config = configOf({ ...image, ...env, DATABASE_URL: "postgres://FAKE@db/x3sproxy" });
  const services = toml.filter(({ name }) => name === "services").map(({ values }) => values);
  assert.deepEqual(
    services.map(({ internal_port: port }) => Number(port)),
    [config.proxyAddress.port, config.adminAddress.port],
  );
  const check = toml.find(({ name }) => name === "checks.ready")?.values ?? {};
  const metrics = toml.find(({ name }) => name === "metrics")?.values ?? {};
  assert.equal(Number(check["port"]), config.metricsAddress.port);
  assert.equal(Number(metrics["port"]), config.metricsAddress.port);
  assert.deepEqual([check["path"], metrics["path"]], ["/readyz", "/metrics"]);
  const top = toml[0]?.values ?? {};
  assert.ok(Number(top["kill_timeout"]) * 1000 >= config.deadlines.drainMs + AFTER_DRAIN_MS);
  assert.equal(toml.find(({ name }) => name === "deploy")?.values["release_command"], "migrate");
});

test("compose.yaml: ports, checks, times and confinement", async () => {
  const { services } = parse(await text("ops/compose/compose.yaml")) as {
    services: Record<string, Mapping>;
  };
  const service = services["x3sproxy"] ?? {};
  const given = Object.entries(service["environment"] as Record<string, string | number>);
  const env = Object.fromEntries(
    given.map(([name, value]) => [name, String(value).replace(/^\$\{\w+:-(.*)\}$/, "$1")]),
  );
  const config = configOf({ ...image, ...env, DATABASE_URL_FILE: join(folder, "database-url") });
  assert.equal(config.databaseUrl, "postgres://FAKE@db/x3sproxy");
  const ports = [config.proxyAddress.port, config.adminAddress.port, config.metricsAddress.port];
  assert.deepEqual(
    service["ports"],
    ports.map((port) => `127.0.0.1:${port}:${port}`),
  );
  assert.ok(
    JSON.stringify(service["healthcheck"]).includes(`:${config.metricsAddress.port}/readyz`),
  );
  const grace = parseDuration(String(service["stop_grace_period"])) ?? 0;
  assert.ok(grace >= config.deadlines.drainMs + AFTER_DRAIN_MS);
  assert.match(String(service["user"]), /^[1-9]\d*:[1-9]\d*$/);
  assert.equal(service["read_only"], true);
  for (const each of Object.values(services)) {
    assert.deepEqual(each["cap_drop"], ["ALL"]);
    assert.deepEqual(each["security_opt"], ["no-new-privileges:true"]);
    assert.ok(each["healthcheck"]);
  }
});

test("x3sproxy.yaml: ports, checks, times and confinement", async () => {
  const documents = parseAllDocuments(await text("ops/kubernetes/x3sproxy.yaml"));
  const all = documents.map((document) => {
    assert.deepEqual(document.errors, []);
    return document.toJS() as Mapping & { kind: string };
  });
  const of = (kind: string): Mapping => all.find((it) => it.kind === kind) ?? {};
  assert.equal(
    all.some(({ kind }) => kind === "Secret"),
    false,
    "no key stands in a file",
  );
  const env = of("ConfigMap")["data"] as Record<string, string>;
  const config = configOf({ ...image, ...env, DATABASE_URL_FILE: join(folder, "database-url") });

  const deployment = of("Deployment")["spec"] as Mapping & { replicas: number };
  assert.ok(deployment.replicas >= 2);
  const pod = (deployment["template"] as { spec: Mapping }).spec;
  const [container] = pod["containers"] as [Mapping];
  const listed = container["ports"] as { name: string; containerPort: number }[];
  assert.deepEqual(Object.fromEntries(listed.map((port) => [port.name, port.containerPort])), {
    proxy: config.proxyAddress.port,
    admin: config.adminAddress.port,
    metrics: config.metricsAddress.port,
  });
  const preStop = container["lifecycle"] as { preStop: { sleep: { seconds: number } } };
  const graceMs = Number(pod["terminationGracePeriodSeconds"]) * 1000;
  const neededMs = preStop.preStop.sleep.seconds * 1000 + config.deadlines.drainMs + AFTER_DRAIN_MS;
  assert.ok(graceMs >= neededMs, `${graceMs} ms, and ${neededMs} ms are needed`);
  const probe = (name: string): unknown => (container[name] as { httpGet: unknown }).httpGet;
  assert.deepEqual(probe("livenessProbe"), { path: "/healthz", port: "metrics" });
  assert.deepEqual(probe("readinessProbe"), { path: "/readyz", port: "metrics" });

  // The restricted profile of the Pod Security Standards.
  const own = pod["securityContext"] as Mapping;
  assert.equal(own["runAsNonRoot"], true);
  assert.deepEqual(own["seccompProfile"], { type: "RuntimeDefault" });
  for (const each of [container, ...(pod["initContainers"] as Mapping[])]) {
    assert.deepEqual(each["securityContext"], {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"] },
    });
  }
});

test("a URL from a file: the file's, or why not, and never what stands there", () => {
  const file = join(folder, "database-url");
  assert.throws(
    () => configOf({ DATABASE_URL: "postgres://FAKE@a/b", DATABASE_URL_FILE: file }),
    /not both/,
  );
  const none = join(folder, "FAKE-password");
  assert.throws(
    () => configOf({ REDIS_URL_FILE: none }),
    ({ message }: Error) => /^REDIS_URL_FILE: .*ENOENT/.test(message) && !message.includes("FAKE"),
  );
});

function configOf(env: Readonly<Record<string, string>>): Config {
  return readConfig(env);
}

function text(path: string): Promise<string> {
  return readFile(join(ROOT, path), "utf8");
}

/** The image's environment. */
function envOfDockerfile(dockerfile: string): Record<string, string> {
  const block = /^ENV ((?:.*\\\n)*.*)$/m.exec(dockerfile)?.[1] ?? "";
  const pairs = block.split(/\s*\\\n\s*|\s+/).map((pair) => pair.split("=", 2));
  return Object.fromEntries(pairs.map(([name = "", value = ""]) => [name, value]));
}

/** As much of TOML as the file needs: sections, and one value a line. The first section has no name. */
function sectionsOf(toml: string): { name: string; values: Record<string, string> }[] {
  const sections: { name: string; values: Record<string, string> }[] = [{ name: "", values: {} }];
  for (const line of toml.split("\n")) {
    const bare = line.replace(/\s+#.*$|^#.*$/, "").trim();
    if (bare === "") continue;
    const header = /^\[{1,2}([\w.]+)\]{1,2}$/.exec(bare)?.[1];
    const pair = /^(\w+) = (?:"([^"]*)"|(\d+|true|false|\[.*\]))$/.exec(bare);
    if (header !== undefined) sections.push({ name: header, values: {} });
    else {
      assert.ok(pair, line);
      const last = sections.at(-1);
      if (last) last.values[pair[1] ?? ""] = pair[2] ?? pair[3] ?? "";
    }
  }
  return sections;
}
