import assert from "node:assert/strict";
import { test } from "node:test";
import { copyCheckout, processesIn } from "./checkout.ts";

const WITHIN_MS = 60_000;
const SENTENCES = [
  /secret set openai/,
  /agent deploy/,
  /openai +Hello from the openai look-alike\. I was called with the key sk-proj-…1111/,
  /anthropic +Hello from the anthropic look-alike\. I was called with the key sk-ant-…2222/,
  /Rotate the OpenAI key/,
  /openai +Hello from the openai look-alike\. I was called with the key sk-proj-…3333/,
  /agent destroy/,
  /openai +401 This x3sproxy token is not valid/,
  /AuthenticationError/,
  /All went as promised/,
];

test("npm run demo tells its story in order, in less than a minute, and leaves nothing behind", async (t) => {
  const checkout = await copyCheckout(t, { name: "checkout", open: true, built: true });
  const startMs = performance.now();
  const { status, stdout, stderr } = await checkout.run("npm run demo");
  const tookMs = performance.now() - startMs;
  assert.equal(status, 0, stdout + stderr);
  assert.ok(tookMs < WITHIN_MS);
  t.diagnostic(`it took ${Math.round(tookMs)} ms`);
  let rest = stdout;
  for (const sentence of SENTENCES) {
    const found = sentence.exec(rest);
    assert.ok(found, `${String(sentence)} is missing, or too early, in: ${stdout}`);
    rest = rest.slice(found.index + found[0].length);
  }
  assert.doesNotMatch(stdout + stderr, /sk-(proj|ant)-\w*FAKE|x3sproxy_[A-Za-z0-9]{32}/);
  if (process.platform === "linux") assert.deepEqual(await processesIn(checkout.folder), []);
});
