// Somebody puts a real key where a path's segment goes: the log leaves it out, and keeps what operators look for.
import assert from "node:assert/strict";
import { test } from "node:test";
import { canonicalPath, recordedPath } from "../../src/proxy/path.ts";
import { openDataPlane } from "../support/data-plane.ts";

const LEFT_OUT = [
  "sk-proj-FAKE-key-in-a-path-0123456789",
  "sk%2Dant%2Dapi03%2DFAKE%2Dkey%2Din%2Da%2Dpath",
  "sk-FAKE0123456789abcdef0123456789abcd",
  "AIzaFAKE-key-in-a-path-0123456789",
  "gsk_FAKEkeyInAPath0123456789",
  "FAKE0123456789abcdefFAKE0123456789abcdef", // a run such as Azure's and Mistral's
];
const KEPT = [
  "claude-sonnet-4-5-20250929",
  "gemini-2.5-flash-preview-05-20:streamGenerateContent",
  "resp_0123456789abcdef0123456789abcdef",
  "6ba7b810-9dad-41d1-80b4-00c04fd430c8",
  "sk-short",
];

test("a segment that looks like a key is an ellipsis in the log", async (t) => {
  const plane = await openDataPlane(t);
  const logged = async (segment: string): Promise<unknown> => {
    const lines = plane.logged().length;
    const response = await fetch(`${plane.url}/openai/v1/models/${segment}/x`);
    assert.equal(response.status, 401);
    await response.body?.cancel();
    const line = await plane.exchange((it) => plane.logged().indexOf(it) >= lines);
    return line["path"];
  };
  for (const segment of LEFT_OUT) assert.equal(await logged(segment), "/v1/models/…/x", segment);
  for (const segment of KEPT) assert.equal(await logged(segment), `/v1/models/${segment}/x`);
});

test("so is one behind a slash in a name, and activity does not have it either", async (t) => {
  const plane = await openDataPlane(t);
  for (const key of LEFT_OUT) {
    const path = `/v1/models/meta-llama%2F${key}`;
    const lines = plane.logged().length;
    const response = await fetch(`${plane.url}/together${path}`);
    assert.equal(response.status, 401);
    await response.body?.cancel();
    const line = await plane.exchange((it) => plane.logged().indexOf(it) >= lines);
    assert.equal(line["path"], "/v1/models/meta-llama%2F…", key);
    assert.equal(recordedPath(path, canonicalPath(path, "together") ?? ""), "", key);
  }
});
