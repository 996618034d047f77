// Checks that need only the settings, and the places that their paths lead to.
import { realpathSync } from "node:fs";
import { resolve, sep } from "node:path";
import type { Cidr } from "../platform/addresses.ts";
import type { Config } from "../platform/config.ts";
import { parseAddress } from "../platform/addresses.ts";
import type { Findings } from "./finding.ts";

const LEAST_BITS = { ipv4: 8, ipv6: 16 } as const;
// A wider block is a network with many machines.
const NETWORK_BITS = { ipv4: 17, ipv6: 49 } as const;

export function checkSettings(config: Config, findings: Findings): void {
  checkDoubts(config, findings);
  checkUrls(config, findings);
  checkBlocks(config, findings);
  checkMetricsAddress(config, findings);
  checkMasterKeyPlace(config, findings);
}

function checkDoubts({ doubts }: Config, findings: Findings): void {
  if (doubts.length === 0)
    findings.ok("Upkeep", "settings", "Each setting that is given is known.");
  for (const { what, fix } of doubts) {
    findings.add("Upkeep", "warning", "settings", {
      ...{ what, fix },
      why: "What it was meant to change is as if it were not set.",
    });
  }
}

function checkUrls(config: Config, findings: Findings): void {
  const urls = [
    ["dashboard-https", "X3SPROXY_DASHBOARD_URL", config.dashboardUrl, config.adminAddress.host],
    ["public-https", "X3SPROXY_PUBLIC_URL", config.publicUrl, config.proxyAddress.host],
  ] as const;
  for (const [id, setting, text, listenHost] of urls) {
    const url = new URL(text);
    const isLocal = isLoopback(url.hostname) && isLoopback(listenHost);
    if (url.protocol === "https:") findings.ok("TLS", id, `${setting} is https.`);
    else if (isLocal) findings.ok("TLS", id, `${setting} is plain http on this machine alone.`);
    else {
      findings.add("TLS", "critical", id, {
        what: `${setting} is plain http, and the listener can be reached over a network.`,
        why: "Tokens, keys and prompts cross that network in the open, and nobody can sign in.",
        fix: `Set X3SPROXY_TLS_CERT_FILE and X3SPROXY_TLS_KEY_FILE, or put a TLS proxy in front, and ${setting}=https://…`,
      });
    }
  }
}

function checkBlocks(config: Config, findings: Findings): void {
  const isWide = ([block, bits]: Cidr): boolean => bits < LEAST_BITS[block.kind()];
  const isNetwork = ([block, bits]: Cidr): boolean =>
    bits < NETWORK_BITS[block.kind()] && block.range() !== "loopback";
  if (config.allowPrivateUpstreams.some(isWide)) {
    findings.add("Network", "critical", "private-upstreams", {
      what: "X3SPROXY_ALLOW_PRIVATE_UPSTREAMS allows nearly every address.",
      why: "Whoever may add a provider reaches the whole network inside, cloud metadata too, and plain http sends keys in the open.",
      fix: "List the addresses of your gateways alone: X3SPROXY_ALLOW_PRIVATE_UPSTREAMS=10.1.2.3/32",
    });
  } else findings.ok("Network", "private-upstreams", "Private upstreams are few or none.");
  if (config.trustedProxies.some(isWide)) {
    findings.add("Network", "critical", "trusted-proxies", {
      what: "X3SPROXY_TRUSTED_PROXIES trusts nearly every address.",
      why: "Anybody can say what address they come from, past address lists and limits on guessing.",
      fix: "List the addresses of your load balancers alone: X3SPROXY_TRUSTED_PROXIES=10.0.0.5/32",
    });
  } else if (config.trustedProxies.some(isNetwork)) {
    findings.add("Network", "warning", "trusted-proxies", {
      what: "X3SPROXY_TRUSTED_PROXIES trusts whole networks.",
      why: "Whatever lives there, an agent too, can say that it comes from any address, past address lists and limits on guessing.",
      fix: "List the addresses of your load balancers alone: X3SPROXY_TRUSTED_PROXIES=10.0.0.5/32",
    });
  } else findings.ok("Network", "trusted-proxies", "Few proxies or none are trusted.");
}

function checkMetricsAddress({ metricsAddress: { host } }: Config, findings: Findings): void {
  const range = parseAddress(host)?.range();
  if (range === undefined && !isLoopback(host)) {
    findings.skip("metrics-exposed", `the metrics listen at a name (${host}): look where it leads`);
  } else if (range === "unspecified" || range === "unicast") {
    findings.add("Network", "warning", "metrics-exposed", {
      what: `The metrics listen on ${host}, which can be a public address.`,
      why: "They ask for no credential and show how much is called, and how it goes.",
      fix: "X3SPROXY_METRICS_ADDR=127.0.0.1:9464, or a private address, or a firewall",
    });
  } else findings.ok("Network", "metrics-exposed", "The metrics listen on a private address.");
}

function checkMasterKeyPlace(
  { masterKey, databaseUrl, dataDir }: Config,
  findings: Findings,
): void {
  if (masterKey === undefined && databaseUrl !== undefined) {
    findings.add("Files", "critical", "master-key-apart", {
      what: "There is no master key in the settings.",
      why: "With DATABASE_URL the service does not start without one.",
      fix: "X3SPROXY_MASTER_KEY_FILE=/run/secrets/x3sproxy (x3sproxy master-key generate makes one)",
    });
  } else if (masterKey === undefined) {
    findings.add("Files", "warning", "master-key-apart", {
      what: "The master key is kept in the same folder as the database.",
      why: "Whoever gets that folder, or a copy of it, has every key.",
      fix: `Move ${dataDir}/master.key elsewhere, and name it: X3SPROXY_MASTER_KEY_FILE=/run/secrets/x3sproxy`,
    });
  } else if ("file" in masterKey && placeOf(masterKey.file).startsWith(placeOf(dataDir) + sep)) {
    findings.add("Files", "warning", "master-key-apart", {
      what: "The master key's file lies in the data folder.",
      why: "Whoever gets a copy of that folder has the key, too.",
      fix: "Move it to another volume, and name it: X3SPROXY_MASTER_KEY_FILE=/run/secrets/x3sproxy",
    });
  } else findings.ok("Files", "master-key-apart", "The master key lies apart from the data.");
}

/** The real path of `path`, as far as it exists. */
function placeOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return resolve(path);
  }
}

export function isLoopback(host: string): boolean {
  const name = host.replace(/^\[|\]$/g, "");
  return name === "localhost" || parseAddress(name)?.range() === "loopback";
}
