// TLS as it really is: the certificate's file, and a handshake and a request with what runs.
import { X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { connect, type TLSSocket } from "node:tls";
import { isIP } from "node:net";
import type { Config, ListenAddress } from "../config.ts";
import { codeOf, type Findings } from "./finding.ts";

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
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(await readFile(tls.certFile));
  } catch (error) {
    findings.add("TLS", "critical", "certificate", {
      what: `The certificate can't be read (${codeOf(error)}).`,
      why: "The service does not start without it.",
      fix: "Give PEM in the file that X3SPROXY_TLS_CERT_FILE names",
    });
    return;
  }
  const leftMs = Date.parse(certificate.validTo) - nowMs;
  if (leftMs < SOON_MS) {
    findings.add("TLS", leftMs < 0 ? "critical" : "warning", "certificate-expiry", {
      what: `The certificate ${leftMs < 0 ? "ended" : "ends"} on ${certificate.validTo}.`,
      why: "Clients refuse it from then on.",
      fix: "Renew it: the service takes the new files within a minute",
    });
  } else
    findings.ok("TLS", "certificate-expiry", `The certificate holds until ${certificate.validTo}.`);
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

/** Speaks with the listeners. False when the service doesn't run. */
export async function checkListeners(config: Config, findings: Findings): Promise<boolean> {
  const { tls, adminAddress, proxyAddress, dashboardUrl } = config;
  if (tls !== undefined) {
    for (const [id, address] of [
      ["tls-handshake-admin", adminAddress],
      ["tls-handshake-proxy", proxyAddress],
    ] as const) {
      const version = await handshake(address);
      if (version === undefined) {
        findings.skip(id, "nothing answers there: is the service running?");
      } else if (version !== "TLSv1.3") {
        findings.add("TLS", "critical", id, {
          what: `The listener at ${address.host}:${address.port} speaks ${version}.`,
          why: "The service itself speaks TLS 1.3 alone: this is another program, or an old version.",
          fix: "Look at what listens there, and start the service again",
        });
      } else findings.ok("TLS", id, `${address.host}:${address.port} speaks TLS 1.3.`);
    }
  }
  const headers = await headersOf(adminAddress, tls !== undefined);
  if (headers === undefined) {
    findings.skip("hsts", "the admin side doesn't answer: is the service running?");
    return false;
  }
  if (!dashboardUrl.startsWith("https:")) findings.skip("hsts", "the dashboard is not https");
  else if (!/max-age=[1-9]\d{6}/.test(headers["strict-transport-security"] ?? "")) {
    findings.add("TLS", "warning", "hsts", {
      what: "The admin side's answers have no Strict-Transport-Security.",
      why: "A browser can be led to plain http. The running service has other settings, or a proxy before it takes the header away.",
      fix: "Start the service with X3SPROXY_DASHBOARD_URL=https://…",
    });
  } else findings.ok("TLS", "hsts", "The admin side says Strict-Transport-Security.");
  return true;
}

function handshake(address: ListenAddress): Promise<string | undefined> {
  return new Promise((resolve) => {
    // Whose certificate it is was judged from its file; here only what is spoken counts.
    const socket: TLSSocket = connect({ ...reached(address), rejectUnauthorized: false }, () => {
      resolve(socket.getProtocol() ?? undefined);
      socket.destroy();
    });
    socket.setTimeout(WITHIN_MS, () => socket.destroy());
    socket.once("error", () => resolve(undefined));
    socket.once("close", () => resolve(undefined));
  });
}

function headersOf(
  address: ListenAddress,
  secure: boolean,
): Promise<Record<string, string | undefined> | undefined> {
  return new Promise((resolve) => {
    const options = { ...reached(address), path: "/api/v1/openapi.json", method: "HEAD" };
    const request = secure
      ? httpsRequest({ ...options, rejectUnauthorized: false })
      : httpRequest(options);
    request.setTimeout(WITHIN_MS, () => request.destroy());
    request.once("error", () => resolve(undefined));
    request.once("response", (response) => {
      response.resume();
      resolve(response.headers as Record<string, string | undefined>);
    });
    request.end();
  });
}

function reached({ host, port }: ListenAddress): { host: string; port: number } {
  return { host: host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host, port };
}
