import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { shapeOf } from "../../src/activity/calls.ts";
import { networkOf } from "../../src/platform/addresses.ts";

test("numbers, words with digits in them and long words stand for each other", () => {
  for (const [path, shape] of [
    ["/v1/files/file-abc123def/content", "/v1/files/*/content"],
    ["/v1/files/123", "/v1/files/*"],
    ["/v1/threads/018f3b1c-7a52-7d3e-9d5e-0c1f2a3b4c5d", "/v1/threads/*"],
    ["/v1/blobs/abcdefghijklmnopqrstuvwxyzabcdef", "/v1/blobs/*"],
    ["/v1beta/models/gemini-2.5-pro:generatecontent", "/v1beta/models/*:generatecontent"],
    ["/v1beta/models/gemini-2.5-pro:countTokens".toLowerCase(), "/v1beta/models/*:counttokens"],
    ["/v1/models/claude-sonnet-4-5", "/v1/models/*"],
    ["/v1/chat/completions", "/v1/chat/completions"],
    ["/openai/deployments/chat/embeddings", "/openai/deployments/chat/embeddings"],
    ["/", "/"],
    ["", "/…"],
  ] as const) {
    assert.equal(shapeOf("GET", "openai", path), `GET /openai${shape}`);
  }
});

test("it is never longer than 200 characters, nor cut within one", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme", maxLength: 250 }), (text) => {
      const shape = shapeOf("PROPFIND", "some-provider", `/${text.replaceAll("/", "-/")}`);
      assert.ok(shape.length <= 200 && shape.isWellFormed());
    }),
  );
});

test("an IPv4 address stands for itself, an IPv6 one for its /64", () => {
  assert.equal(networkOf("203.0.113.7"), "203.0.113.7");
  assert.equal(networkOf("::ffff:203.0.113.7"), "203.0.113.7");
  assert.equal(networkOf("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
  assert.equal(networkOf("2001:db8:1:2::9"), networkOf("2001:db8:1:2:ffff::1"));
  assert.equal(networkOf("fe80::1%eth0"), "fe80::/64");
  assert.equal(networkOf(""), undefined);
});
