// A workspace whose provider says nothing has as many key tests under way as it may have; another one still tests and rotates its key.
import assert from "node:assert/strict";
import test from "node:test";
import { openAdmin, stringAt } from "../admin/fixture.ts";
import { createConnectProxy } from "../support/connect-proxy.ts";
import { eventually } from "../support/eventually.ts";

// They look like nobody's in particular.
const FAKE_KEY = "FAKE-key-under-test-4f1Zq0-wxyz";
const OTHER_FAKE_KEY = "FAKE-newer-key-under-test-9b7K-abcd";

test("another workspace's key is tested while one has all of its own tests under way", async (t) => {
  const proxy = await createConnectProxy({
    port: 9,
    answer: ({ url }) => (url === "api.openai.com:443" ? undefined : 502),
  });
  const slow: Promise<unknown>[] = [];
  t.after(() => Promise.all([proxy.close(), ...slow]));
  const { call, addKey, addWorkspace } = await openAdmin(t, { env: { HTTPS_PROXY: proxy.url } });
  const save = (provider: string, value: string, skipTest: boolean, key?: string) =>
    call("PUT", "/api/v1/secrets", { provider, value, skipTest }, key);
  const id = stringAt(await save("openai", FAKE_KEY, true), "secret", "id");
  const elsewhere = await addKey("owner", await addWorkspace("elsewhere"));
  assert.equal((await save("anthropic", FAKE_KEY, true, elsewhere)).status, 201);

  for (let n = 0; n < 4; n++) slow.push(call("POST", `/api/v1/secrets/${id}/test`));
  await eventually(() => proxy.requests.length === 4);
  const fifth = await call("POST", `/api/v1/secrets/${id}/test`);
  assert.deepEqual([fifth.status, fifth.body["code"]], [503, "busy"]);
  const rotated = await save("anthropic", OTHER_FAKE_KEY, false, elsewhere);
  // The provider was asked, and the key is kept.
  assert.deepEqual([rotated.status, rotated.body["code"]], [409, "key_unproved"], rotated.text);
});
