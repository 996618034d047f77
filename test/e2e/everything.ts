// One run of everything that the product does, well and badly, with watched keys in it: for the canary.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import type { RunningService } from "../support/service.ts";
import type { Witness } from "./witness.ts";

/** In every real key, twice: so that a part of one is found, too. Of this run: another one's processes are seen as well. */
export const KEY_MARK = `CanaryFAKE${randomBytes(4).toString("hex")}`;
/** In bodies and queries; nowhere but in what the agent and the provider are sent. */
export const BODY_MARK = "BodyMarkFAKE5Wn8";

const key = (prefix: string, name: string): string =>
  `${prefix}${KEY_MARK}-${name}-${KEY_MARK}-${name.slice(-4)}`;

export const KEYS = {
  openai: key("sk-proj-", "openai-first"),
  openaiNext: key("sk-proj-", "openai-next"),
  openaiStaging: key("sk-proj-", "openai-staging"),
  anthropic: key("sk-ant-api03-", "anthropic"),
  gemini: key("AIza", "gemini"),
  mistral: key("", "mistral"),
  groq: key("gsk_", "groq"),
  azure: key("", "azure"),
  own: key("own/+=%&<\\>", "custom"),
} as const;

export const PASSWORD = "a FAKE passphrase of the canary, 3Hd9";
export const TRACER = "tracer-agent";

type Call = Parameters<Witness["call"]>;

export type Tokens = Readonly<
  Record<
    "agent" | "other" | "narrow" | "shortLived" | "keyless" | "replaced" | "registration",
    string
  >
>;

/** Keys and agents, by the command line in all its forms; `origin` is the look-alike's. Gives the tokens. */
export async function setUp(witness: Witness, origin: string): Promise<Tokens> {
  const { run } = witness;
  const ok = async (args: string[], input?: string, mayHold?: string[]): Promise<string> => {
    const { status, stdout, stderr } = await run(args, input, mayHold);
    assert.equal(status, 0, stderr);
    return stdout;
  };
  await ok(["provider", "add", "own", "--origin", origin]);
  await ok(["provider", "list"]);
  for (const provider of ["anthropic", "gemini", "mistral", "groq", "own"] as const) {
    await ok(["secret", "set", provider], `${KEYS[provider]}\n`);
  }
  await ok(["secret", "set", "openai", "--json", "--label", "canary"], KEYS.openai);
  await ok(["secret", "set", "openai"], KEYS.openaiNext);
  await ok(["secret", "rollback", "openai"]);
  await ok(["secret", "rollback", "openai", "--to", "2"]);
  await ok(["secret", "set", "openai", "--environment", "staging"], KEYS.openaiStaging);
  await ok(
    ["secret", "set", "azure-openai", "--origin", "https://canary.openai.azure.com"],
    KEYS.azure,
  );
  await ok(["secret", "list"]);
  await ok(["secret", "list", "--json"]);

  const deploy = async (token: string, ...args: string[]): Promise<string> => {
    const stdout = await ok(["agent", "deploy", ...args, "--json"], "", [token]);
    return (JSON.parse(stdout) as { token: string }).token;
  };
  const register = async (token: string, agent: string): Promise<string> => {
    const stdout = await ok(["agent", "register", agent, "--json"], "", [token]);
    return (JSON.parse(stdout) as { token: string }).token;
  };
  const replaced = await deploy("token replaced", TRACER);
  const tokens = {
    replaced,
    agent: await deploy("token agent", TRACER),
    other: await deploy("token other", "other"),
    narrow: await deploy("token narrow", "narrow", "--providers", "mistral"),
    shortLived: await deploy("token shortLived", "short-lived", "--ttl", "1m"),
    keyless: await deploy("token keyless", "keyless", "--environment", "empty"),
    registration: await register("token registration", "keyless"),
  };
  for (const format of ["shell", "docker", "compose", "k8s"]) {
    await ok(["agent", "env", TRACER, "--format", format]);
  }
  await ok(["agent", "list"]);
  return tokens;
}

/** What operators do wrong on the command line: the key where it does not belong, or not as it should be. */
export async function mistype({ run }: Witness, tokens: Tokens): Promise<void> {
  const mistakes: readonly (readonly [args: string[], input?: string])[] = [
    [["secret", "set", "anthropic"], KEYS.openai],
    [["secret", "set", "openai"], `${KEYS.openai} ${KEYS.openai}`],
    [["secret", "set", "openai"], `"${KEYS.openai}"`],
    [["secret", "set", "openai"], tokens.agent],
    [["secret", "set", "openai"], ""],
    [["secret", "set", "openai", KEYS.openai], KEYS.openai],
    [["secret", "set", KEYS.openai], KEYS.openai],
    [["secret", "set", "openai", "--label", `it is ${KEYS.openai}`], KEYS.openai],
    [["secret", "set", "openai", "--environment", KEYS.openai], KEYS.openai],
    [["secret", "set", "openai", `--value=${KEYS.openai}`], KEYS.openai],
    [["secret", "set", "azure-openai", "--origin", KEYS.openai], KEYS.azure],
    [["secret", "rollback", KEYS.openai]],
    [["secret", "rollback", "openai", "--to", KEYS.openai]],
    [["secret", "delete", KEYS.openai, "--yes"]],
    [["provider", "add", KEYS.openai, "--origin", "https://example.com"]],
    [["provider", "add", "mine", "--origin", `https://${KEYS.openai}@example.com`]],
    [
      [
        "provider",
        "add",
        "mine",
        "--origin",
        "https://a.example",
        "--scheme",
        `Bearer ${KEYS.own}`,
      ],
    ],
    [["provider", "add", "mine", "--origin", "https://a.example", "--scheme", KEYS.openai]],
    [["provider", "remove", KEYS.openai, "--yes"]],
    [["agent", "deploy", KEYS.openai]],
    [["agent", "deploy", "x", "--ttl", KEYS.openai]],
    [["agent", "deploy", "x", "--providers", KEYS.openai]],
    [["agent", "deploy", "x", "--allow-endpoint", KEYS.openai]],
    [["agent", "deploy", "x", "--environment", KEYS.openai]],
    [["agent", "env", KEYS.openai]],
    [["agent", "env", TRACER, "--format", KEYS.openai]],
    [["agent", "suspend", KEYS.openai]],
    [["agent", "resume", KEYS.openai]],
    [["agent", "destroy", KEYS.openai, "--yes"]],
    [[KEYS.openai]],
  ];
  for (const [args, input] of mistakes) {
    const asked = await Promise.all([run(args, input), run([...args, "--json"], input)]);
    for (const { status } of asked) assert.notEqual(status, 0, args.slice(0, 2).join(" "));
  }
}

/** The admin API: refusals of every kind, each with a key in it; and the first user. */
export async function administerBadly(
  { call, send }: Witness,
  { adminUrl, apiKey, output }: RunningService,
): Promise<void> {
  const api = `${adminUrl}/api/v1`;
  const auth = { authorization: `Bearer ${apiKey}` };
  const k = KEYS.openai;
  const good = { provider: "openai", environment: "production", value: k };
  const calls: readonly Call[] = [
    ["PUT", `${api}/secrets`, auth, { ...good, provider: k }],
    ["PUT", `${api}/secrets`, auth, { ...good, environment: k }],
    ["PUT", `${api}/secrets`, auth, { ...good, label: k }],
    ["PUT", `${api}/secrets`, auth, { ...good, origin: k }],
    ["PUT", `${api}/secrets`, auth, { ...good, provider: "anthropic" }],
    ["PUT", `${api}/secrets`, auth, { ...good, value: { [k]: k } }],
    ["PUT", `${api}/secrets`, auth, { ...good, value: `${k}\n${k}` }],
    ["PUT", `${api}/secrets`, auth, { ...good, [k]: k }],
    ["PUT", `${api}/secrets`, auth, `{"provider":"openai","value":"${k}",}`],
    ["PUT", `${api}/secrets`, auth, `{"__proto__":{"value":"${k}"}}`],
    ["PUT", `${api}/secrets`, auth, { ...good, label: k.repeat(2000) }],
    ["PUT", `${api}/secrets`, { ...auth, "content-type": "text/plain" }, k],
    ["PUT", `${api}/secrets`, { ...auth, "content-type": k }, k],
    ["PUT", `${api}/secrets`, {}, good],
    ["PUT", `${api}/secrets`, { authorization: `Bearer ${k}` }, good],
    ["PUT", `${api}/secrets`, { authorization: `Basic ${btoa(`x:${apiKey}`)}` }, good],
    ["PUT", `${api}/secrets?value=${encodeURIComponent(k)}`, auth, {}],
    ["GET", `${api}/secrets/${encodeURIComponent(k)}/versions`, auth],
    ["POST", `${api}/secrets/${encodeURIComponent(k)}/rollback`, auth, { version: k }],
    ["DELETE", `${api}/secrets/${encodeURIComponent(k)}`, auth],
    ["PUT", `${api}/providers/${encodeURIComponent(k)}`, auth, { origin: "https://a.example" }],
    ["PUT", `${api}/providers/mine`, auth, { origin: `https://a.example/${k}` }],
    ["PUT", `${api}/providers/mine`, auth, { origin: "https://a.example", header: k }],
    ["POST", `${api}/agents/${encodeURIComponent(k)}/deployments`, auth, {}],
    ["POST", `${api}/agents/x/deployments`, auth, { providers: [k] }],
    ["POST", `${api}/agents/x/deployments`, auth, { allowedEndpoints: [k] }],
    ["POST", `${api}/agents/x/deployments`, auth, { ttlSeconds: k }],
    ["DELETE", `${api}/agents/${encodeURIComponent(k)}`, auth],
    ["GET", `${adminUrl}/${encodeURIComponent(k)}?${encodeURIComponent(k)}`, auth],
    ["GET", `${api}/whoami`, auth],
    ["GET", `${adminUrl}/`],
  ];
  for (const each of calls) await call(...each);
  for (const line of [`GET /${k}`, `${k} / HTTP/1.1`, `GET / HTTP/1.1\r\n${k}`]) {
    await send(adminUrl, `${line}\r\n\r\n`);
  }

  const token = /#token=(x3ssetup_\w+)/.exec(output.stderr)?.[1];
  const user = { token, email: "canary@example.com", password: PASSWORD };
  await call("POST", `${api}/setup`, {}, { ...user, email: PASSWORD });
  await call("POST", `${api}/setup`, {}, { ...user, password: "short" });
  await call("POST", `${api}/setup`, {}, { ...user, token: apiKey });
  assert.equal((await call("POST", `${api}/setup`, {}, user)).status, 201);
  assert.equal((await call("POST", `${api}/setup`, {}, user)).status, 401);
}

/** Calls that agents make, and that go through. */
export async function callProviders(
  { call, talk }: Witness,
  { proxyUrl }: RunningService,
  { agent }: Tokens,
): Promise<void> {
  const openai = `${proxyUrl}/openai/v1`;
  const auth = { authorization: `Bearer ${agent}` };
  const say = (said: string, stream = false): object => ({
    ...{ model: "m", stream, max_tokens: 9 },
    messages: [{ role: "user", content: `${said} ${BODY_MARK}` }],
  });
  const echo = `tool:echo {"echoed":"${BODY_MARK}"}`;
  const query = `?note=${BODY_MARK}`;
  const statusOf = async (...args: Call): Promise<number> => (await call(...args)).status;
  assert.equal(await statusOf("POST", `${openai}/chat/completions${query}`, auth, say(echo)), 200);
  assert.equal(await statusOf("POST", `${openai}/chat/completions`, auth, say(echo, true)), 200);
  assert.equal(await statusOf("POST", `${openai}/chat/completions`, auth, say("break", true)), 200);
  for (const status of [400, 401, 429, 500, 529]) {
    const answer = await statusOf(
      "POST",
      `${openai}/chat/completions`,
      auth,
      say(`status:${status}`),
    );
    assert.equal(answer, status);
  }
  await call("HEAD", `${openai}/models`, auth);
  await call("OPTIONS", `${openai}/models`, auth);
  await call("DELETE", `${openai}/models/x`, auth, BODY_MARK);
  const anthropic = { "x-api-key": agent, "anthropic-version": "2023-06-01" };
  assert.equal(
    await statusOf("POST", `${proxyUrl}/anthropic/v1/messages`, anthropic, say(echo)),
    200,
  );
  assert.equal(await statusOf("GET", `${proxyUrl}/gemini/v1beta/models?key=${agent}`), 200);
  assert.equal(await statusOf("GET", `${proxyUrl}/own/v1/models`, auth), 200);
  await call("GET", `${proxyUrl}/_x3sproxy/token`, auth);

  const left = new AbortController();
  const hanging = fetch(`${openai}/chat/completions`, {
    method: "POST",
    headers: { ...auth, "content-type": "application/json" },
    body: JSON.stringify(say("hang", true)),
    signal: left.signal,
  });
  await hanging;
  left.abort();

  const item = {
    type: "message",
    role: "user",
    content: [{ type: "input_text", text: BODY_MARK }],
  };
  const realtime = [{ type: "conversation.item.create", item }, { type: "response.create" }];
  await talk(`${openai}/realtime?model=m`, [], auth, realtime);
  const subprotocols = ["realtime", `openai-insecure-api-key.${agent}`];
  await talk(`${openai}/realtime?model=m`, subprotocols, {}, realtime);
  const live = "ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent";
  await talk(`${proxyUrl}/gemini/${live}?key=${agent}`, [], {}, [
    { setup: { model: "models/m" } },
    {
      clientContent: {
        turns: [{ role: "user", parts: [{ text: BODY_MARK }] }],
        turnComplete: true,
      },
    },
  ]);
}

/** Calls that are refused, each for another reason, with keys and tokens wherever they can stand. */
export async function callBadly(
  { call, send, talk }: Witness,
  { proxyUrl }: RunningService,
  tokens: Tokens,
): Promise<void> {
  const k = KEYS.openai;
  const models = `${proxyUrl}/openai/v1/models`;
  const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
  const auth = bearer(tokens.agent);
  const body = { model: k, messages: [{ role: "user", content: k }] };
  const calls: readonly Call[] = [
    ["GET", models],
    ["POST", `${proxyUrl}/openai/v1/chat/completions`, {}, body],
    ["GET", models, bearer(k)],
    ["GET", models, { ...auth, "x-api-key": k }],
    ["GET", models, { ...auth, "x-goog-api-key": tokens.other }],
    ["GET", models, { ...auth, cookie: `key=${k}`, "x-note": k, [k.toLowerCase()]: k }],
    ["GET", `${models}?key=${encodeURIComponent(k)}`, auth],
    ["GET", `${models}?note=${encodeURIComponent(k)}`, auth],
    ["GET", models, bearer(`${tokens.agent}x`)],
    ["GET", models, bearer(tokens.agent.slice(0, -1))],
    ["GET", models, bearer(tokens.agent.replace(/.$/, "#"))],
    ["GET", models, bearer(tokens.replaced)],
    ["GET", models, bearer(tokens.shortLived)],
    ["GET", models, bearer(tokens.narrow)],
    ["GET", models, bearer(tokens.keyless)],
    ["GET", models, bearer(tokens.registration)],
    ["GET", models, { ...auth, "x-note": tokens.registration }],
    ["GET", `${models}?note=${tokens.registration}`, auth],
    ["GET", `${models}/${tokens.registration}`, auth],
    ["GET", `${proxyUrl}/_x3sproxy/register`, bearer(tokens.registration)],
    ["POST", `${proxyUrl}/_x3sproxy/register`, bearer(`${tokens.registration}x`)],
    ["POST", `${proxyUrl}/_x3sproxy/register?x=${tokens.registration}`, {}],
    ["POST", `${proxyUrl}/openai/v1/realtime/client_secrets`, auth, body],
    ["GET", `${proxyUrl}/openai/v1/organization/admin_api_keys`, auth],
    ["GET", `${models}/${encodeURIComponent(k)}`, auth],
    ["GET", `${models}/${encodeURIComponent(k)}`],
    ["GET", `${models}/${tokens.agent}`, auth],
    ["GET", `${models}/%2e%2e/${tokens.agent}`, auth],
    ["GET", `${proxyUrl}/${encodeURIComponent(k)}/v1/models`, auth],
    ["GET", `${proxyUrl}/${tokens.agent}`, auth],
    ["GET", `${proxyUrl}/`, auth],
    ["GET", `${proxyUrl}/_x3sproxy/${encodeURIComponent(k)}`, auth],
    ["GET", `${proxyUrl}/mistral/v1/models`, auth], // nobody there
    ["GET", `${proxyUrl}/groq/openai/v1/models`, auth], // no HTTP there
  ];
  for (const each of calls) await call(...each);

  const head = `Host: x\r\nAuthorization: Bearer ${tokens.agent}\r\nConnection: close\r\n`;
  for (const bytes of [
    `GET /openai/v1/models HTTP/1.1\r\nAuthorization: Bearer ${k}\r\n bad folding\r\n\r\n`,
    `GET /openai/v1/models?key=${tokens.agent} HTTP/9.9\r\n\r\n`,
    `GET /openai/v1/models HTTP/1.1\r\n${head}X-Long: ${k.repeat(2000)}\r\n\r\n`,
    `TRACE /openai/v1/models HTTP/1.1\r\n${head}\r\n`,
    `CONNECT ${k}:443 HTTP/1.1\r\n${head}\r\n`,
    `POST /openai/v1/models HTTP/1.1\r\n${head}Expect: ${k}\r\nContent-Length: 1\r\n\r\nx`,
    `POST /openai/v1/x HTTP/1.1\r\n${head}Transfer-Encoding: chunked\r\n\r\n${k}\r\n`,
    `GET /openai/../${k} HTTP/1.1\r\n${head}\r\n`,
    `GET http://${k}@x/openai/v1/models HTTP/1.1\r\n${head}\r\n`,
    `GET /openai/v1/models HTTP/1.1\r\nHost: ${k}.x\r\nAuthorization: Bearer ${tokens.agent}\r\nConnection: close\r\n\r\n`,
    `${k}\r\n\r\n`,
  ]) {
    await send(proxyUrl, bytes);
  }
  const realtime = `${proxyUrl}/openai/v1/realtime?model=m`;
  await talk(realtime, ["realtime", `openai-insecure-api-key.${KEYS.gemini}`], {}, []);
  await talk(realtime, [], bearer(tokens.narrow), []);
  await talk(`${proxyUrl}/mistral/v1/realtime`, [], auth, []);
  await talk(`${proxyUrl}/groq/v1/realtime`, [], auth, []);
}
