// A dashboard over the real service, with an owner who is signed in and an agent whose scope is narrow; real calls and an open stream show
// what holds.
import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import type { Page } from "playwright-core";
import { openBrowser, type WatchedPage } from "../support/browser.ts";
import { createTestDatabase } from "../support/database.ts";
import { createHttpUpstream } from "../support/http-upstream.ts";
import { runService, type RunningService } from "../support/service.ts";

const KEY = "sk-proj-FAKE-key-of-a-narrowed-agent-000000001111";
export const PASSWORD = "a FAKE passphrase of somebody, 7Kd";
export const RULES = ["GET /openai/v1/models", "GET /openai/v1/files"];
const SHAPES = [
  { width: 1280, colorScheme: "light" },
  { width: 360, colorScheme: "dark" },
] as const;

/** A service with an owner who is signed in, and the agent `coder`, which may do what `rules` say. */
export async function openDashboard(t: TestContext, ...rules: string[]) {
  const upstream = await createHttpUpstream((request, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    // One answer after the first event: until it is cut, or as soon as it is asked for nothing more.
    if (request.headers["x-stay"] === undefined) response.end("data: {}\n\n");
    else response.write("data: {}\n\n");
  });
  t.after(() => upstream.close());
  const database = await createTestDatabase();
  t.after(() => database.drop());
  const service = await runService({
    database,
    env: {
      X3SPROXY_ORIGIN_OPENAI: upstream.origin,
      X3SPROXY_ALLOW_PRIVATE_UPSTREAMS: "127.0.0.0/8",
    },
  });
  t.after(() => service.remove());
  await service.setSecret("openai", KEY);
  const options = (rules.length === 0 ? RULES : rules).flatMap((rule) => ["--rule", rule]);
  const token = await service.deploy("coder", ...options);
  const browser = await openBrowser(t);
  const setupUrl = /http:\S+\/setup#token=\w+/.exec(service.output.stderr)?.[0];
  assert.ok(setupUrl !== undefined, service.output.stderr);
  const owner = await browser.open(setupUrl);
  await setUp(owner.page);
  return { service, browser, owner, token, setupUrl };
}

async function setUp(page: Page): Promise<void> {
  await page.getByLabel("E-mail").fill("owner@example.test");
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Make the user" }).click();
  await page.getByRole("link", { name: "Not now" }).click();
  await page.getByRole("heading", { name: "Overview" }).waitFor();
}

/** The page and whatever is open on it, wide in light, narrow in dark. */
export async function assertGood({
  page,
  assertAccessible,
  assertFits,
}: WatchedPage): Promise<void> {
  for (const { width, colorScheme } of SHAPES) {
    await page.setViewportSize({ width, height: 800 });
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    await page.evaluate(
      "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))",
    );
    await assertAccessible();
    await assertFits();
  }
  await page.setViewportSize({ width: 1280, height: 800 });
}

export function get({ proxyUrl }: RunningService, token: string, path: string): Promise<Response> {
  return fetch(proxyUrl + path, { headers: { authorization: `Bearer ${token}` } });
}

export function post(
  { proxyUrl }: RunningService,
  token: string,
  headers: Record<string, string> = {},
): Promise<Response> {
  return fetch(`${proxyUrl}/openai/v1/responses`, {
    method: "POST",
    headers: {
      ...{ authorization: `Bearer ${token}`, "content-type": "application/json" },
      ...headers,
    },
    body: JSON.stringify({ model: "gpt-5", stream: true, input: "Go on" }),
  });
}

export async function refusalOf(service: RunningService, token: string): Promise<string | null> {
  const answer = await post(service, token);
  await answer.text();
  return answer.headers.get("x3sproxy-refusal");
}

/** A stream whose first event has come. `end` settles when it ends: rejects when it is cut. */
export async function openStream(
  service: RunningService,
  token: string,
): Promise<{ end: Promise<void> }> {
  const answer = await post(service, token, { "x-stay": "1" });
  const reader = answer.body?.getReader();
  assert.ok(reader !== undefined && answer.ok);
  assert.equal((await reader.read()).done, false);
  const readOn = async () => {
    while (!(await reader.read()).done);
  };
  const end = readOn();
  end.catch(() => undefined);
  return { end };
}
