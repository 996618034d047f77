// Checks a TLS proxy in front of the service: calls the public URLs and verifies the certificate as clients do. Only used if the service
// has no certificate of its own. Sends no credential.
import { request } from "node:https";
import type { Config } from "../platform/config.ts";
import { failureOf, type Findings } from "./finding.ts";

const WITHIN_MS = 5000;

interface Answer {
  /** Whether the connection was accepted. */
  readonly isThere: boolean;
  /** Why there was no answer over TLS. */
  readonly failure?: string;
  /** The value of Strict-Transport-Security. */
  readonly hsts?: string | undefined;
}

export async function checkFront(config: Config, findings: Findings): Promise<void> {
  if (config.tls !== undefined) return;
  const { dashboardUrl, publicUrl } = config;
  const [dashboard] = await Promise.all([
    checkOne("front-dashboard", "X3SPROXY_DASHBOARD_URL", dashboardUrl, findings),
    checkOne("front-public", "X3SPROXY_PUBLIC_URL", publicUrl, findings),
  ]);
  if (dashboard?.failure !== undefined || dashboard?.isThere !== true) return;
  if (!holdsToHttps(dashboard.hsts)) {
    findings.add("TLS", "warning", "front-hsts", {
      what: "The dashboard's answers, as browsers get them, have no Strict-Transport-Security.",
      why: "A browser can be led to plain http.",
      fix: "Let the proxy in front pass the header on that the service sends, or set it: max-age=31536000",
    });
  } else findings.ok("TLS", "front-hsts", "The dashboard's answers say Strict-Transport-Security.");
}

/** Whether a Strict-Transport-Security holds for more than some days (RFC 6797, 6.1.1). */
export function holdsToHttps(header: string | undefined): boolean {
  return /max-age="?[1-9]\d{6}/i.test(header ?? "");
}

/** Undefined if the URL is without TLS. */
async function checkOne(
  id: string,
  setting: string,
  text: string,
  findings: Findings,
): Promise<Answer | undefined> {
  const url = new URL(text);
  if (url.protocol !== "https:") return undefined;
  const answer = await ask(url);
  const { failure } = answer;
  if (failure === undefined) {
    findings.ok("TLS", id, `${setting} answers over TLS, with a certificate that holds.`);
  } else if (!answer.isThere) {
    findings.skip(id, `${setting} can't be reached from this machine (${failure})`);
  } else if (/VERIFY|SELF_SIGNED|ISSUER/.test(failure)) {
    findings.add("TLS", "warning", id, {
      what: `This machine doesn't know who vouches for the certificate of ${url.host} (${failure}).`,
      why: "Clients that don't know that authority either refuse it; who clicks past that lets others pose as it.",
      fix: "A certificate of a public authority, with its whole chain; else NODE_EXTRA_CA_CERTS=<file> here, and the same for each client",
    });
  } else {
    findings.add("TLS", "critical", id, {
      what: `${setting} is https, and ${url.host} gives no answer over TLS that holds (${failure}).`,
      why: "Clients refuse it, or are led to plain http.",
      fix: `Look at the TLS proxy in front: it needs a certificate for ${url.hostname} that has not ended`,
    });
  }
  return answer;
}

function ask(url: URL): Promise<Answer> {
  return new Promise((resolve) => {
    let isThere = false;
    const asked = request(url, {
      method: "HEAD",
      agent: false,
      rejectUnauthorized: true,
      signal: AbortSignal.timeout(WITHIN_MS),
    });
    asked.once("socket", (socket) => socket.once("connect", () => (isThere = true)));
    asked.on("error", (error) => resolve({ isThere, failure: failureOf(error) }));
    asked.once("response", (response) => {
      response.resume();
      resolve({ isThere, hsts: response.headers["strict-transport-security"] });
    });
    asked.end();
  });
}
