// x3sproxy register: in an agent's container, trades its registration token for a proxy token and keeps that in a file. Must print
// neither.
import type { Command } from "commander";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { readClientConfig } from "../platform/config.ts";
import { isProxyToken } from "../platform/ids.ts";
import { parseJson } from "../platform/unknown-values.ts";
import { examples, print } from "./output.ts";
import { Failure, printable } from "./failure.ts";
import { readSecret } from "./prompt.ts";
import { prepareTokenFile } from "./token-file.ts";

const TIMEOUT_MS = 15_000;
const TRIES = 5;
const MAX_PAUSE_MS = 5_000;

const traded = z.object({
  agent: z.string(),
  environment: z.string(),
  deployment: z.number(),
  token: z.string().refine(isProxyToken),
  expiresAt: z.string().nullable(),
  baseUrls: z.record(z.string(), z.string()),
});
const refused = z.object({ error: z.object({ message: z.string() }) });

interface Options {
  readonly tokenFile: string;
  readonly url?: string;
  readonly replace?: true;
  readonly json?: true;
}

export function addRegisterCommand(program: Command): void {
  const command = program
    .command("register")
    .description(
      "in the agent's container: trade a registration token, once, for the agent's token",
    )
    .requiredOption("--token-file <file>", "where to keep the token (mode 0600)")
    .option("--url <url>", "where the proxy is (X3SPROXY_PUBLIC_URL)")
    .option("--replace", "replace the file if it is there")
    .option("--json", "print exactly one JSON document, without the token")
    .addHelpText(
      "after",
      "\nThe registration token is read from X3SPROXY_REGISTRATION_TOKEN, or else from standard input.\n" +
        examples(
          "x3sproxy register --token-file /run/agent/token",
          "x3sproxy register --token-file token --url https://llm.example.com < registration",
        ),
    );
  command.action(async () => {
    const { tokenFile, url, replace = false, json } = command.opts<Options>();
    const { registrationToken, publicUrl } = readClientConfig(
      url === undefined ? {} : { publicUrl: url },
    );
    const file = await prepareTokenFile(tokenFile, { replace });
    try {
      const credential = registrationToken ?? (await readSecret("Registration token, not shown: "));
      const { token, ...rest } = await trade(publicUrl, credential);
      await file.write(token);
      const lines = [
        `Agent ${rest.agent} (${rest.environment}), deployment ${rest.deployment}. Its token is in ${tokenFile}` +
          ` and ends ${rest.expiresAt ?? "never"}.`,
        ...Object.entries(rest.baseUrls).map(([name, baseUrl]) => `${name}: ${baseUrl}`),
      ];
      if (json) await print(`${printable(JSON.stringify({ ...rest, tokenFile }, null, 2))}\n`);
      else process.stderr.write(`${printable(lines.join("\n"))}\n`);
    } finally {
      await file.close();
    }
  });
}

/** Comes again while the service is too busy or its database is away: then nothing has been traded. */
async function trade(publicUrl: string, credential: string): Promise<z.infer<typeof traded>> {
  if (!/^[\x21-\x7e]+$/.test(credential)) {
    throw new Failure(
      "registration_invalid",
      "There is no registration token: set X3SPROXY_REGISTRATION_TOKEN, or give it on standard input.",
    );
  }
  for (let tries = 1; ; tries++) {
    const { status, retryAfterMs, body } = await send(publicUrl, credential);
    const made = traded.safeParse(body);
    if (status === 201 && made.success) return made.data;
    if ((status === 503 || status === 429) && tries < TRIES) {
      await sleep(Math.min(retryAfterMs, MAX_PAUSE_MS));
      continue;
    }
    const said = refused.safeParse(body);
    if (said.success && status === 401) {
      throw new Failure("registration_invalid", said.data.error.message);
    }
    throw new Failure(
      said.success ? "refused" : "unexpected_answer",
      said.success
        ? said.data.error.message
        : `${publicUrl} answered ${status}, but not as x3sproxy does. Does X3SPROXY_PUBLIC_URL name the proxy?`,
    );
  }
}

async function send(
  publicUrl: string,
  credential: string,
): Promise<{ status: number; retryAfterMs: number; body: unknown }> {
  try {
    const response = await fetch(`${publicUrl}/_x3sproxy/register`, {
      method: "POST",
      headers: { authorization: `Bearer ${credential}` },
      redirect: "manual",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    const text = await response.text();
    const retryAfterMs = Number(response.headers.get("retry-after") ?? 1) * 1000;
    return {
      status: response.status,
      retryAfterMs: Number.isFinite(retryAfterMs) ? retryAfterMs : 1000,
      body: parseJson(text),
    };
  } catch {
    throw new Failure(
      "unreachable",
      `There was no answer from ${publicUrl}. Is X3SPROXY_PUBLIC_URL right, and its certificate trusted (NODE_EXTRA_CA_CERTS)?\n` +
        "If the answer was lost on its way, the registration is used up: ask for another.",
    );
  }
}
