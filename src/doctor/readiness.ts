// Asks the running service whether it is ready. Sends no credential.
import { request } from "node:http";
import type { Config } from "../platform/config.ts";
import { failureOf, type Findings } from "./finding.ts";
import { reached } from "./tls.ts";

const ID = "readiness";
const WITHIN_MS = 5000;
const MOST_CHARACTERS = 1000;

const FIXES: Readonly<Record<string, string>> = {
  starting: "Wait until it has started; when it does not, its log says why",
  draining: "It is about to end: start it again",
  database_unavailable:
    "Look at the way from the service to its database, and at the service's log",
  workers_unavailable: "Look in the service's log for why its workers end",
};

export async function checkReadiness(
  { metricsAddress }: Config,
  findings: Findings,
): Promise<void> {
  const { host, port } = reached(metricsAddress);
  const place = `${host.includes(":") ? `[${host}]` : host}:${port}`;
  const { status, text, failure } = await ask({ host, port });
  if (failure !== undefined) {
    findings.skip(ID, `${place} gives no answer (${failure}): is the service running?`);
    return;
  }
  const reason = /"reason":"([a-z_]+)"/.exec(text)?.[1] ?? "";
  const fix = FIXES[reason];
  if (status === 200 && text.includes('"status":"ready"')) {
    findings.ok("Machine", ID, "The service runs and is ready.");
  } else if (status === 503 && fix !== undefined) {
    findings.add("Machine", "critical", ID, {
      what: `The service runs and is not ready (${reason}).`,
      why: "Load balancers give it no calls, and those that come can be refused.",
      fix,
    });
  } else {
    findings.add("Machine", "warning", ID, {
      what: `What answers at ${place} is not the service's own listener (${status}).`,
      why: "Whether the service is ready can't be told, and its metrics are another program's.",
      fix: "Look at what listens there, or set X3SPROXY_METRICS_ADDR as the service has it",
    });
  }
}

interface Answer {
  readonly status?: number | undefined;
  /** The beginning of the answer. */
  readonly text: string;
  readonly failure?: string;
}

function ask(at: { host: string; port: number }): Promise<Answer> {
  return new Promise((resolve) => {
    const signal = AbortSignal.timeout(WITHIN_MS);
    const asked = request({ ...at, path: "/readyz", agent: false, signal });
    asked.on("error", (error) => resolve({ text: "", failure: failureOf(error) }));
    asked.once("response", (response) => {
      let text = "";
      const end = (): void => {
        resolve({ status: response.statusCode, text });
        response.destroy();
      };
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        text = (text + chunk).slice(0, MOST_CHARACTERS);
        if (text.length === MOST_CHARACTERS) end();
      });
      response.once("end", end);
      response.once("error", end);
    });
    asked.end();
  });
}
