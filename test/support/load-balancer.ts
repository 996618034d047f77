// A real load balancer in front of services: HAProxy, calls in turn, health by /readyz, as operators are told to set it up.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { findProgram } from "./debian-program.ts";
import { eventually } from "./eventually.ts";
import { freePorts, type RunningService } from "./service.ts";

export const CHECK_EVERY_MS = 200;

/** Starts one; it ends with the test. Gives the URL of all services together. */
export async function startLoadBalancer(
  t: TestContext,
  services: readonly Pick<RunningService, "proxyUrl" | "metricsUrl">[],
): Promise<string> {
  const program = findProgram(["haproxy"], "haproxy");
  const [port] = await freePorts(1);
  const folder = await mkdtemp(join(tmpdir(), "x3sproxy-balancer-"));
  const file = join(folder, "haproxy.cfg");
  const servers = services.map(({ proxyUrl, metricsUrl }, index) => {
    const at = new URL(proxyUrl).host;
    const health = new URL(metricsUrl).port;
    return `  server s${index} ${at} check port ${health} inter ${CHECK_EVERY_MS}ms fall 1 rise 1`;
  });
  await writeFile(
    file,
    `defaults
  mode http
  timeout connect 2s
  timeout client 60s
  timeout server 60s
  option redispatch
  retries 2
  retry-on conn-failure empty-response
frontend agents
  bind 127.0.0.1:${port}
  default_backend services
backend services
  balance roundrobin
  option httpchk GET /readyz
  http-check expect status 200
${servers.join("\n")}
`,
  );
  const child = spawn(program, ["-q", "-db", "-f", file], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  const exited = once(child, "exit");
  const killWithUs = (): void => void child.kill("SIGKILL");
  process.once("exit", killWithUs);
  t.after(async () => {
    process.off("exit", killWithUs);
    child.kill("SIGKILL");
    await exited;
    await rm(folder, { recursive: true, force: true });
  });
  const url = `http://127.0.0.1:${port}`;
  await eventually(() =>
    fetch(`${url}/openai`, { method: "HEAD" }).then(
      ({ status }) => status === 200,
      () => false,
    ),
  );
  return url;
}
