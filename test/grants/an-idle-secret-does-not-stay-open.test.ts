import assert from "node:assert/strict";
import { test } from "node:test";
import { SealError } from "../../src/errors.ts";
import { eventually } from "../support/eventually.ts";
import { createHouse, FAKE_KEY } from "./house.ts";
import { createManualClock } from "./manual-clock.ts";
import { actorIn } from "../support/actor.ts";

test("a key that was opened is zeroed when its grant's time is over, though nobody asks again", async (t) => {
  const clock = createManualClock();
  const { agents, secrets, openGrants, vault, workspaceId } = await createHouse(t, { clock });
  const key = { provider: "openai", environment: "production", value: FAKE_KEY };
  const { origin } = await secrets.set(actorIn(workspaceId), key);
  const { token } = await agents.deploy(actorIn(workspaceId), { name: "a" });
  const { grants } = await openGrants();
  const grant = await grants.resolve(token);
  assert.ok(typeof grant !== "string");
  const held = grant.secrets.get("openai") ?? assert.fail();
  const inject = (): void => {
    vault.inject(held.release(), origin).applyTo([]);
  };
  inject();
  clock.advance(59_999);
  await new Promise((resolve) => setTimeout(resolve, 1_200));
  inject();
  clock.advance(1);
  await eventually(() => {
    try {
      inject();
      return false;
    } catch (error) {
      assert.ok(error instanceof SealError);
      return true;
    }
  }, 2_000);
});

test("closing forgets and zeroes every grant", async (t) => {
  const { agents, secrets, openGrants, vault, workspaceId } = await createHouse(t);
  const key = { provider: "openai", environment: "production", value: FAKE_KEY };
  const { origin } = await secrets.set(actorIn(workspaceId), key);
  const { token } = await agents.deploy(actorIn(workspaceId), { name: "a" });
  const { grants } = await openGrants();
  const grant = await grants.resolve(token);
  assert.ok(typeof grant !== "string");
  const held = grant.secrets.get("openai") ?? assert.fail();
  await grants.close();
  await new Promise(setImmediate);
  await new Promise(setImmediate);
  assert.throws(() => vault.inject(held.release(), origin), SealError);
});
