// Two services on one database: one registration traded by two hundred at once.
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { createLookAlike } from "../../demo/look-alike/look-alike.ts";
import { createTestDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { runService, type RunningService } from "../support/service.ts";

const KEY = "sk-proj-FAKE-registration-0123456789-abcd";

async function openTwo(t: TestContext) {
  const database = await createTestDatabase();
  t.after(() => database.drop());
  const lookAlike = createLookAlike({ keys: { openai: [KEY] } });
  const env = {
    X3SPROXY_ORIGIN_OPENAI: await lookAlike.listen(),
    X3SPROXY_ALLOW_PRIVATE_UPSTREAMS: "127.0.0.0/8",
    // Each agent comes from an address of its own, as containers do.
    X3SPROXY_TRUSTED_PROXIES: "127.0.0.0/8",
  };
  t.after(() => lookAlike.close());
  const one = await runService({ database, env });
  t.after(() => one.remove());
  const other = await runService({ database, env, apiKey: one.apiKey });
  t.after(() => other.remove());
  await one.setSecret("openai", KEY);
  return { one, other };
}

async function refusalAt({ proxyUrl }: RunningService, token: string): Promise<string | number> {
  const response = await fetch(`${proxyUrl}/openai/v1/models`, {
    headers: { authorization: `Bearer ${token}` },
  });
  await response.body?.cancel();
  return response.headers.get("x3sproxy-refusal") ?? response.status;
}

test("of two hundred trades at once over two services exactly one wins, and its token works", async (t) => {
  const { one, other } = await openTwo(t);
  const old = await one.deploy("contested");
  const { token: registration } = await one.cliJson(["agent", "register", "contested"]);
  const answers = await Promise.all(
    Array.from({ length: 200 }, async (_, i) => {
      const response = await fetch(`${(i % 2 ? one : other).proxyUrl}/_x3sproxy/register`, {
        method: "POST",
        headers: {
          authorization: `Bearer ${String(registration)}`,
          "x-forwarded-for": `10.1.0.${i}`,
        },
      });
      const body = (await response.json()) as { token?: string; deployment?: number };
      return { status: response.status, refusal: response.headers.get("x3sproxy-refusal"), body };
    }),
  );
  const winners = answers.filter(({ status }) => status === 201);
  assert.equal(winners.length, 1);
  for (const { status, refusal } of answers.filter((it) => it !== winners[0])) {
    assert.deepEqual([status, refusal], [401, "registration_invalid"]);
  }
  const token = String(winners[0]?.body.token);
  assert.equal(winners[0]?.body.deployment, 2);
  for (const service of [one, other]) {
    assert.equal(await refusalAt(service, token), 200);
    await eventually(async () => (await refusalAt(service, old)) === "unknown_token", 1_000);
    for (const text of [service.output.stdout, service.output.stderr]) {
      for (const secret of [String(registration), token])
        assert.equal(text.includes(secret), false);
    }
  }
  const [agent] = (await one.cliJson(["agent", "list"])) as unknown as { deployment: number }[];
  assert.equal(agent?.deployment, 2);
  assert.deepEqual(await one.cliJson(["agent", "registrations", "contested"]), []);
});
