// Checks whether agents call directly from trusted proxies' addresses: a client there can claim any address by X-Forwarded-For. Reads the
// activity of the last two days.
import { isWithin, parseAddress } from "../platform/addresses.ts";
import type { Config } from "../platform/config.ts";
import { transact, type OwnerSql, type TransactionSql } from "../db/index.ts";
import { failureOf, listed, type Findings } from "./finding.ts";

const ID = "trusted-direct";
const WITHIN = "5s";
const BATCH = 1000;

interface Source {
  /** Empty: not recorded. */
  readonly address: string;
  readonly agents: number;
}

export async function checkTrustedProxies(
  sql: OwnerSql,
  config: Pick<Config, "trustedProxies">,
  findings: Findings,
): Promise<void> {
  const { trustedProxies } = config;
  if (trustedProxies.length === 0) {
    findings.ok(
      "Network",
      ID,
      "No proxy is trusted: nobody can say that they come from elsewhere.",
    );
    return;
  }
  const direct: string[] = [];
  let seen = 0;
  let unknown = 0;
  try {
    const lookUp = async (tx: TransactionSql): Promise<void> => {
      await tx`select set_config('statement_timeout', ${WITHIN}, true)`;
      const sources = tx<Source[]>`
        select address, count(distinct agent_id)::int as agents from x3sproxy.activity_calls
        group by address order by agents desc, address`;
      for await (const rows of sources.cursor(BATCH)) {
        for (const { address, agents } of rows) {
          if (address === "") unknown += agents;
          else if (isWithin(trustedProxies, parseAddress(address))) direct.push(address);
          seen++;
        }
      }
    };
    await transact(sql, lookUp, { isolation: "isolation level repeatable read, read only" });
  } catch (error) {
    // Postgres's code for a statement that took too long (PostgreSQL manual, appendix A).
    if (failureOf(error) !== "57014") throw error;
    findings.skip(ID, "where calls came from could not be read in time");
    return;
  }
  if (direct.length > 0) {
    findings.add("Network", "warning", ID, {
      what:
        `Calls of the last two days came straight from ${listed(direct)}, which X3SPROXY_TRUSTED_PROXIES trusts: ` +
        "from agents that live there, or through a proxy that doesn't say for whom.",
      why: "Whoever calls from there can say that they come from any address, past address lists and limits on guessing.",
      fix:
        "List the addresses of your load balancers alone, as in X3SPROXY_TRUSTED_PROXIES=10.0.0.5/32, or nothing; " +
        "a load balancer there has to set X-Forwarded-For",
    });
  } else if (seen === 0) {
    findings.skip(ID, "there was no call in the last two days to tell it from");
  } else if (unknown > 0) {
    findings.skip(ID, "of some calls of the last two days no address was kept");
  } else {
    findings.ok(
      "Network",
      ID,
      "No call of the last two days came straight from a trusted address.",
    );
  }
}
