// What a running service is to its callers, whether it is one process or several: its URLs, its data folder, its end.
import { readFileSync } from "node:fs";
import { plainOverNetwork } from "./admin/index.ts";
import type { Components } from "./platform/components.ts";
import type { Config, ListenAddress } from "./platform/config.ts";
import { watchOpenFiles } from "./platform/connection-bounds.ts";
import type { Log } from "./platform/log.ts";

/** The running service. Its URLs are those that it listens on; clients may use others. */
export interface Service {
  readonly proxyUrl: string;
  readonly adminUrl: string;
  readonly metricsUrl: string;
  readonly dataDir: string;
  /** Whether Postgres runs with the service, in the data folder. */
  readonly embedded: boolean;
  /** The link that makes the first user; undefined once there is one. */
  readonly setupUrl: string | undefined;
  /** Whether nobody can sign in, because browsers would come by plain HTTP over a network. */
  readonly httpsNeeded: boolean;
  /** Drains within the deadline, then stops everything. */
  stop(): Promise<void>;
}

/** What to report about the service. `setup`: false in a worker, which reports nothing. */
export function described(
  config: Config,
  log: Log,
  setup: { setupToken: string | undefined } | false,
): Pick<Service, "httpsNeeded" | "dataDir" | "embedded" | "setupUrl"> {
  const httpsNeeded = plainOverNetwork(config.dashboardUrl);
  if (httpsNeeded && setup !== false) {
    log.warn("nobody can sign in: X3SPROXY_DASHBOARD_URL is plain http over a network");
  }
  const token = setup === false ? undefined : setup.setupToken;
  return {
    httpsNeeded,
    dataDir: config.dataDir,
    embedded: config.databaseUrl === undefined,
    setupUrl: token === undefined ? undefined : `${config.dashboardUrl}/setup#token=${token}`,
  };
}

/** Starts to check that files can still be opened. */
export async function startOpenFilesWatch(
  components: Components,
  o: Parameters<typeof watchOpenFiles>[0],
): Promise<void> {
  const name = "open files watch";
  await components.start({ name, start: () => watchOpenFiles(o), stop: (end) => end() });
}

export function productVersion(): string {
  const manifest = readFileSync(new URL("../package.json", import.meta.url), "utf8");
  return (JSON.parse(manifest) as { version: string }).version;
}

export function urlOf({ host, port }: ListenAddress, scheme = "http"): string {
  return `${scheme}://${host.includes(":") ? `[${host}]` : host}:${port}`;
}
