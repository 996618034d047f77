import assert from "node:assert/strict";
import { test } from "node:test";
import { canonicalRule, compileRules } from "../../src/scopes/path-rules.ts";

const allows = (rules: string[], call: string): boolean => {
  const [method = "", target = ""] = call.split(" ");
  const [, provider = "", ...rest] = target.split("/");
  return compileRules(rules).allow(method, provider, `/${rest.join("/")}`);
};

test("a rule allows its method and path, and nothing beside it", () => {
  const rule = ["POST /openai/v1/responses"];
  assert.ok(allows(rule, "POST /openai/v1/responses"));
  for (const call of [
    "GET /openai/v1/responses",
    "POST /openai/v1/responses/x",
    "POST /openai/v1",
    "POST /openai/v2/responses",
    "POST /anthropic/v1/responses",
    "POST /openai/",
  ]) {
    assert.ok(!allows(rule, call), call);
  }
});

test("stars stand for a method, for characters within a segment, for segments", () => {
  assert.ok(allows(["* /openai/v1/models"], "DELETE /openai/v1/models"));
  assert.ok(allows(["GET /*/v*/models/*"], "GET /gemini/v1beta/models/x"));
  assert.ok(!allows(["GET /*/v*/models/*"], "GET /gemini/v1beta/models/x/y"));
  assert.ok(!allows(["GET /*/models"], "GET /gemini/v1beta/models"));
  const verbs = ["POST /gemini/*/models/*:generatecontent"];
  assert.ok(allows(verbs, "POST /gemini/v1beta/models/gemini-3-pro:generatecontent"));
  assert.ok(!allows(verbs, "POST /gemini/v1beta/models/gemini-3-pro:embedcontent"));
  assert.ok(allows(["GET /openai/**"], "GET /openai/"));
  assert.ok(allows(["GET /openai/**"], "GET /openai/v1/files/a/content"));
  assert.ok(allows(["* /**"], "PATCH /anything/at/all"));
  assert.ok(allows(["GET /openai/**/content"], "GET /openai/v1/files/a/content"));
  assert.ok(!allows(["GET /openai/**/content"], "GET /openai/v1/files/a"));
});

test("a rule for GET takes HEAD, which gives no more; nothing else is taken for another method", () => {
  assert.ok(allows(["GET /openai/v1/models"], "HEAD /openai/v1/models"));
  assert.ok(!allows(["HEAD /openai/v1/models"], "GET /openai/v1/models"));
  assert.ok(!allows(["* /openai/**", "!GET /openai/v1/files"], "HEAD /openai/v1/files"));
});

test("what a rule takes away stays away, in whatever order they stand", () => {
  for (const rules of [
    ["* /**", "!* /openai/v1/files/**"],
    ["!* /openai/v1/files/**", "* /**"],
  ]) {
    assert.ok(allows(rules, "POST /openai/v1/responses"));
    assert.ok(!allows(rules, "GET /openai/v1/files"));
    assert.ok(!allows(rules, "GET /openai/v1/files/a/content"));
  }
  assert.ok(!allows(["!* /openai/v1/files"], "GET /openai/v1/models"), "a denial allows nothing");
  assert.ok(!allows([], "GET /openai/v1/models"), "an empty list allows nothing");
});

test("a rule has one spelling", () => {
  const spelt: Record<string, string> = {
    "post  /openai/v1/Responses/": "POST /openai/v1/responses",
    " GET /gemini/v1beta/models/*:countTokens ": "GET /gemini/v1beta/models/*:counttokens",
    "! * /openai/v1/files/**": "!* /openai/v1/files/**",
    "* /**": "* /**",
    "* /openai": "* /openai",
  };
  for (const [text, rule] of Object.entries(spelt)) {
    assert.equal(canonicalRule(text), rule, text);
    assert.equal(canonicalRule(rule), rule);
  }
});

test("what could be read in two ways is no rule", () => {
  for (const text of [
    "",
    "/openai/v1",
    "POST",
    "POST openai/v1",
    "POST /",
    "BREW /openai/v1",
    "POST /openai//v1",
    "POST /openai/v1/../v2",
    "POST /openai/./v1",
    "POST /openai/v1?x=1",
    "POST /openai/v1#x",
    "POST /openai/%76%31",
    "POST /openai/v1\\x",
    "POST /openai/v1/**x",
    "POST /openai/***",
    "POST /open**ai/v1",
    "POST /openai/v1 /x",
    "!!* /openai/v1",
    "POST,GET /openai/v1",
    `POST /openai/${"a".repeat(400)}`,
  ]) {
    assert.equal(canonicalRule(text), undefined, text);
  }
});
