import assert from "node:assert/strict";
import { it } from "node:test";
import { openCli, runCli } from "./fixture.ts";

it("limits and rules are shown, set and taken off", async (t) => {
  const { run, json } = await openCli(t);
  assert.match((await run(["workspace", "show"])).stdout, /^Requests a minute +no limit$/m);
  const set = await json([
    ...["workspace", "set", "--requests-per-minute", "600", "--open-websockets", "20"],
    ...["--bytes-per-minute", "500MB", "--unused-days", "30", "--second-factor", "optional"],
  ]);
  const limits = {
    requestsPerMinute: 600,
    openStreams: null,
    openWebsockets: 20,
    bytesPerMinute: 500_000_000,
  };
  assert.partialDeepStrictEqual(set, { limits, unusedDays: 30, rotationDays: 90 });
  assert.partialDeepStrictEqual(await json(["workspace", "show"]), { limits, unusedDays: 30 });
  const text = (await run(["workspace", "show"])).stdout;
  assert.match(text, /^Unused tokens end +after 30 days$/m);
  assert.match(text, /^Open WebSockets +20$/m);
  const off = ["workspace", "set", "--requests-per-minute", "none", "--unused-days", "none"];
  assert.partialDeepStrictEqual(await json(off), {
    limits: { ...limits, requestsPerMinute: null },
    unusedDays: null,
  });
});

it("nothing to change and what can't be read are wrong usage, and only an owner may", async (t) => {
  const { run, addKey, environment } = await openCli(t);
  const nothing = await run(["workspace", "set"]);
  assert.equal(nothing.status, 2);
  assert.match(nothing.stderr, /Name what to change/);
  assert.equal((await run(["workspace", "set", "--open-streams", "many"])).status, 2);
  const admin = { ...environment, X3SPROXY_API_KEY: await addKey("admin") };
  const refused = await runCli(["workspace", "set", "--open-streams", "5"], { environment: admin });
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /role owner/);
});
