// Which of two tokens counts would depend on who reads the request: so none does.
import assert from "node:assert/strict";
import { test } from "node:test";
import { openTarget } from "../support/attack.ts";

test("two live tokens in one request are refused, wherever they stand", async (t) => {
  const { plane, ask, token: one, upstream } = await openTarget(t);
  const two = await plane.deploy("second");
  const get = (query = ""): string => `GET /openai/v1/models${query} HTTP/1.1`;
  for (const lines of [
    [get(), `Authorization: Bearer ${one}`, `Authorization: Bearer ${two}`],
    [get(), `Authorization: Bearer ${one}`, `X-Api-Key: ${two}`],
    [get(), `Authorization: ${one}`, `X-Whatever: ${two}`],
    [get(`?key=${two}`), `Authorization: Bearer ${one}`],
    [get(`?key=${one}&key=${two}`)],
    [get(`?key=${one};key=${two}`)],
    [get(`?key=${one}&${two}`)],
    [get(), `api-key: ${one}`, `Sec-WebSocket-Protocol: token, ${two}`],
    [get(), `Sec-WebSocket-Protocol: ${one}, openai-insecure-api-key.${two}`],
  ]) {
    const { status, header } = await ask(lines);
    assert.equal(header("x3sproxy-refusal"), "conflicting_tokens", lines.join("\n"));
    assert.equal(status, 401);
  }
  assert.equal(upstream.connections.length, 0);
});

test("what is not exactly a token is malformed, also beside a good one; what is empty is missing", async (t) => {
  const { ask, token, upstream } = await openTarget(t);
  const get = "GET /openai/v1/models HTTP/1.1";
  for (const text of [
    token.slice(0, -1),
    `${token}A`,
    `"${token}"`,
    `<${token}>`,
    `${token},`,
    `${token}, Bearer ${token}`,
    `${token.slice(0, -1)}-`,
    "x3sproxy_",
    `${token}\u00a0${token}`,
  ]) {
    const bytes = Buffer.from(text, "utf8").toString("latin1");
    for (const lines of [
      [get, `Authorization: Bearer ${bytes}`],
      [get, `X-Api-Key: ${bytes}`, `Authorization: Bearer ${token}`],
      [`GET /openai/v1/models?key=${encodeURIComponent(text)} HTTP/1.1`],
    ]) {
      assert.equal((await ask(lines)).header("x3sproxy-refusal"), "malformed_token", lines.join());
    }
  }
  for (const lines of [
    [get],
    [get, "Authorization:"],
    [get, "Authorization: Bearer"],
    [get, "Authorization: Basic"],
    [get, "X-Api-Key: "],
    [get, "Sec-WebSocket-Protocol: realtime"],
    ["GET /openai/v1/models?key=&token HTTP/1.1"],
    [get, `Cookie: key=${token}`],
    [get, `Proxy-Authorization: Bearer ${token}`],
  ]) {
    assert.equal((await ask(lines)).header("x3sproxy-refusal"), "missing_token", lines.join());
  }
  const upperCase = await ask([get, `Authorization: Bearer ${token.toUpperCase()}`]);
  assert.equal(upperCase.header("x3sproxy-refusal"), "foreign_credential");
  assert.equal(upstream.connections.length, 0);
});
