// The place that a run measures in: a temporary folder, the compiled load, and the upstreams, plain and over TLS.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createAuthority } from "../test/support/authority.ts";
import { freePorts } from "../test/support/service.ts";
import { compileLoad } from "./equipment.ts";
import { createLoader, type Loader } from "./load.ts";
import { REAL_KEY, TOKEN_PREFIX, writeAnswers } from "./messages.ts";
import { startTlsUpstream } from "./peers/nginx.ts";
import type { Site } from "./peers/peer.ts";
import { endAll, LOAD_CORE, start, untilListening } from "./processes.ts";
import type { UpstreamCounts } from "./windows.ts";

/** Makes the site and starts its upstreams. */
export async function openSite(): Promise<{ site: Site; loader: Loader }> {
  const folder = mkdtempSync(join(tmpdir(), "x3sproxy-bench-"));
  const close = async (status: number): Promise<never> => {
    await endAll();
    process.exit(status);
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.once(signal, () => void close(130));
  }
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));

  const { client, upstream } = compileLoad(folder);
  const [upstreamPort = 0, tlsPort = 0, h2Port = 0] = await freePorts(3);
  const authority = await createAuthority();
  const caFile = join(folder, "ca.pem");
  writeFileSync(caFile, authority.certificate);
  await authority.remove();
  writeAnswers(folder);
  const token = `${TOKEN_PREFIX}${"FAKE".repeat(8)}`;
  const site: Site = { folder, upstreamPort, tlsPort, h2Port, caFile, token };
  const command = [upstream, String(upstreamPort), folder, REAL_KEY, TOKEN_PREFIX];
  await untilListening(upstreamPort, start(command, { core: LOAD_CORE }));
  await startTlsUpstream(site, await authority.issue());
  return { site, loader: createLoader(client, folder) };
}

/** What the upstream saw since it was last asked. */
export async function upstreamCounts(site: Site): Promise<UpstreamCounts> {
  const response = await fetch(`http://127.0.0.1:${site.upstreamPort}/stats`);
  return (await response.json()) as UpstreamCounts;
}
