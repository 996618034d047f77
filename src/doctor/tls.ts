// Checks TLS: the certificate's file, and a handshake and a request with the running service.
import { X509Certificate } from "node:crypto";
import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { isIP } from "node:net";
import { connect } from "node:tls";
import { readSmallFile } from "../platform/bounded-file.ts";
import { certificateProblem } from "../platform/certificate.ts";
import type { Config, ListenAddress } from "../platform/config.ts";
import { API, requestLine } from "../contract/index.ts";
import type { Findings } from "./finding.ts";
import { holdsToHttps } from "./front.ts";

const WITHIN_MS = 5000;
const SOON_MS = 14 * 86_400_000;

export async function checkCertificate(
  { tls, dashboardUrl, publicUrl }: Config,
  findings: Findings,
  nowMs: number,
): Promise<void> {
  if (tls === undefined) {
    findings.skip("certificate", "the service has no certificate of its own");
    return;
  }
  const problem = await certificateProblem(tls);
  if (problem !== undefined) {
    findings.add("TLS", "critical", "certificate", {
      what: `${problem}.`,
      why: "The service does not start with it.",
      fix: "Put the certificate with its chain, and its key without a passphrase, into the two files, in PEM form and readable to the service",
    });
    return;
  }
  findings.ok("TLS", "certificate", "The certificate and its key belong together.");
  const certificate = new X509Certificate(await readSmallFile(tls.certFile));
  const leftMs = Date.parse(certificate.validTo) - nowMs;
  if (nowMs < Date.parse(certificate.validFrom)) {
    findings.add("TLS", "critical", "certificate-expiry", {
      what: `The certificate holds only from ${certificate.validFrom}.`,
      why: "Clients refuse it until then.",
      fix: "Look at this machine's clock; else get a certificate that holds now",
    });
  } else if (leftMs < SOON_MS) {
    findings.add("TLS", leftMs < 0 ? "critical" : "warning", "certificate-expiry", {
      what: `The certificate ${leftMs < 0 ? "ended" : "ends"} on ${certificate.validTo}.`,
      why: "Clients refuse it from then on.",
      fix: "Renew it: the service takes the new files within a minute",
    });
  } else {
    const until = `The certificate holds until ${certificate.validTo}.`;
    findings.ok("TLS", "certificate-expiry", until);
  }
  for (const [id, setting, text] of [
    ["certificate-name-dashboard", "X3SPROXY_DASHBOARD_URL", dashboardUrl],
    ["certificate-name-public", "X3SPROXY_PUBLIC_URL", publicUrl],
  ] as const) {
    const host = new URL(text).hostname.replace(/^\[|\]$/g, "");
    const names = isIP(host) === 0 ? certificate.checkHost(host) : certificate.checkIP(host);
    if (names === undefined) {
      findings.add("TLS", "critical", id, {
        what: `The certificate is not for ${host}, the host of ${setting}.`,
        why: "Clients that look at the name refuse it.",
        fix: `Get a certificate for ${host}, or set ${setting} to a name that it has`,
      });
    } else findings.ok("TLS", id, `The certificate is for ${host}.`);
  }
}

/** Connects to the listeners. */
export async function checkListeners(config: Config, findings: Findings): Promise<void> {
  const { tls, adminAddress, proxyAddress, dashboardUrl } = config;
  if (tls !== undefined) {
    await checkHandshake("tls-handshake-admin", adminAddress, findings);
    await checkHandshake("tls-handshake-proxy", proxyAddress, findings);
  }
  if (!dashboardUrl.startsWith("https:")) {
    findings.skip("hsts", "the dashboard is not https");
    return;
  }
  const headers = await headersOf(adminAddress, tls !== undefined);
  if (headers === undefined) {
    findings.skip("hsts", "the admin side gives no answer: is the service running?");
  } else if (!holdsToHttps(headers["strict-transport-security"])) {
    findings.add("TLS", "warning", "hsts", {
      what: "The admin side's answers have no Strict-Transport-Security.",
      why: "A browser can be led to plain http. The running service has other settings, or this is another program.",
      fix: "Start the service with X3SPROXY_DASHBOARD_URL=https://…",
    });
  } else findings.ok("TLS", "hsts", "The admin side says Strict-Transport-Security.");
}

async function checkHandshake(
  id: string,
  address: ListenAddress,
  findings: Findings,
): Promise<void> {
  const place = `${address.host}:${address.port}`;
  const spoken = await handshake(address);
  if (spoken === "nobody") findings.skip(id, "nothing listens there: is the service running?");
  else if (spoken === "TLSv1.3") findings.ok("TLS", id, `${place} speaks TLS 1.3.`);
  else {
    findings.add("TLS", "critical", id, {
      what: `The listener at ${place} speaks ${spoken}.`,
      why: "The service with these settings speaks TLS 1.3 alone: it was started with others, or this is another program.",
      fix: "Look at what listens there, and start the service again with X3SPROXY_TLS_CERT_FILE and X3SPROXY_TLS_KEY_FILE",
    });
  }
}

/** The TLS version, or what answers without TLS. */
function handshake(address: ListenAddress): Promise<string> {
  return new Promise((resolve) => {
    let isThere = false;
    // The certificate was checked in its file. Here only the protocol matters.
    const socket = connect({ ...reached(address), rejectUnauthorized: false });
    const timer = setTimeout(() => socket.destroy(), WITHIN_MS);
    socket.once("connect", () => (isThere = true));
    socket.once("secureConnect", () => {
      resolve(socket.getProtocol() ?? "an unknown TLS");
      socket.destroy();
    });
    socket.on("error", () => undefined);
    socket.once("close", () => {
      clearTimeout(timer);
      resolve(isThere ? "no TLS" : "nobody");
    });
  });
}

function headersOf(
  address: ListenAddress,
  secure: boolean,
): Promise<Record<string, string | undefined> | undefined> {
  return new Promise((resolve) => {
    const options = {
      ...reached(address),
      path: API + requestLine("GET /openapi.json").path,
      method: "HEAD",
      agent: false,
      signal: AbortSignal.timeout(WITHIN_MS),
    };
    const request = secure
      ? httpsRequest({ ...options, rejectUnauthorized: false })
      : httpRequest(options);
    request.on("error", () => resolve(undefined));
    request.once("response", (response) => {
      response.resume();
      resolve(response.headers as Record<string, string | undefined>);
    });
    request.end();
  });
}

export function reached({ host, port }: ListenAddress): { host: string; port: number } {
  return { host: host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host, port };
}
