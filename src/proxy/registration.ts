// POST /_x3sproxy/register: trades a registration token for a proxy token. It takes the registration token in Authorization only, and no
// proxy token. Counts failures by the client's network; only failures are ever told to wait, so nobody can lock a good token out.
import type { Grants, Traded } from "../grants/index.ts";
import { clientNetwork } from "../addresses.ts";
import type { Clock } from "../clock.ts";
import { createFailures } from "../limits/index.ts";
import { builtInProviders } from "../providers/index.ts";
import type { Call } from "./call.ts";
import { discardRest } from "./endings.ts";
import { hasHeader } from "./headers.ts";
import { sendJson, timeOf } from "./own-endpoints.ts";
import { refusalFor, unlessRefused } from "./refusal.ts";

export const REGISTER_PATH = "/_x3sproxy/register";

const MAX_FAILURES = 30;

const CREDENTIAL = /^Bearer +(x3sreg_[A-Za-z0-9]{32})$/i;

export interface Registering {
  /** Trades and answers. Rejects with Refusal, or with what is nobody's refusal. */
  answer(call: Call): Promise<void>;
}

export function createRegistering(o: {
  grants: Pick<Grants, "trade">;
  clock: Clock;
  publicUrl: string;
}): Registering {
  const { grants, clock, publicUrl } = o;
  const failures = createFailures({ perMinute: MAX_FAILURES, clock });

  async function trade(call: Call): Promise<Traded> {
    const { exchange, request } = call;
    // A malformed token is looked up, too, so that it takes as long.
    const result = await grants.trade(credentialOf(request.rawHeaders), exchange.address);
    if (result !== "registration_invalid") return unlessRefused(result);
    const waitS = failures.count(clientNetwork(exchange.address ?? ""));
    if (waitS === 0) throw refusalFor(result);
    call.retryAfterS = waitS;
    throw refusalFor("rate_limited");
  }

  return {
    async answer(call) {
      const result = await trade(call);
      const { exchange, request, response } = call;
      exchange.workspaceId = result.workspaceId;
      exchange.agentId = result.agentId;
      exchange.agent = result.agentName;
      exchange.deployment = result.deployment;
      exchange.status = 201;
      // The client may or may not send its body now, so the connection can't be reused.
      if (hasHeader(request.rawHeaders, "expect")) response.shouldKeepAlive = false;
      sendJson(response, 201, describe(result, publicUrl));
      if (!request.complete) discardRest(request);
    },
  };
}

/** The registration token of the one Authorization field; empty when there is none or more than one, or it holds something else. */
function credentialOf(rawHeaders: readonly string[]): string {
  let found: string | undefined;
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    if (rawHeaders[i]?.toLowerCase() !== "authorization") continue;
    if (found !== undefined) return "";
    found = CREDENTIAL.exec(rawHeaders[i + 1] ?? "")?.[1] ?? "";
  }
  return found ?? "";
}

function describe(made: Traded, publicUrl: string): object {
  const reachable = made.providers ?? [...builtInProviders.keys(), ...made.customProviders];
  return {
    agent: made.agentName,
    environment: made.environment,
    deployment: made.deployment,
    token: made.token,
    expiresAt: timeOf(made.expiresAtMs ?? undefined),
    baseUrls: Object.fromEntries(reachable.map((each) => [each, `${publicUrl}/${each}`])),
  };
}
