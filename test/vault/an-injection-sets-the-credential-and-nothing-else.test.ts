import assert from "node:assert/strict";
import test from "node:test";
import { SealError } from "../../src/platform/errors.ts";
import { FAKE_KEY, freshVault, ORIGIN, samplePlace, sealSample } from "./fixture.ts";

const vault = await freshVault();

test("the bare key, for a provider with a header of its own", () => {
  const injection = vault.inject(vault.hold(sealSample(vault)).release(), ORIGIN);
  const headers = ["host", "api.anthropic.com"];
  injection.applyTo(headers);
  assert.deepEqual(headers, ["host", "api.anthropic.com", "x-api-key", FAKE_KEY]);
  assert.deepEqual(injection.names, ["x-api-key"]);
});

test("the scheme before the key, for Authorization", () => {
  const place = { ...samplePlace(), header: "authorization", scheme: "Token" };
  const held = vault.hold({ ...place, provider: "deepgram", ...vault.seal(place, FAKE_KEY) });
  const headers: string[] = [];
  vault.inject(held.release(), ORIGIN).applyTo(headers);
  assert.deepEqual(headers, ["authorization", `Token ${FAKE_KEY}`]);
});

test("not for an origin that the key was not sealed for", () => {
  const held = vault.hold(sealSample(vault));
  for (const origin of ["https://evil.example", "http://api.anthropic.com", `${ORIGIN}:8443`, ""]) {
    assert.throws(() => vault.inject(held.release(), origin), SealError, origin);
  }
});

test("not from a look-alike of a held secret", () => {
  const held = vault.hold(sealSample(vault));
  assert.throws(
    () => vault.inject({ ...held.release(), wipe: () => undefined }, ORIGIN),
    SealError,
  );
});

test("a row that doesn't open fails before anything is written", () => {
  const held = vault.hold({ ...sealSample(vault), version: 2 });
  assert.throws(() => vault.inject(held.release(), ORIGIN), SealError);
});
