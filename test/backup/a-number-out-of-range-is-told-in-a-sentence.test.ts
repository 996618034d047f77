import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { it } from "node:test";
import { ContainerError, newIdentity, sealStream } from "../../src/backup/index.ts";
import { openAdmin } from "../admin/fixture.ts";
import { backUp, createEmptyDatabase, isUntouched, opening, restoreTo } from "./fixture.ts";

it("numbers that no row or sequence can have are refused in words, and nothing is changed", async (t) => {
  const admin = await openAdmin(t);
  await admin.call("POST", "/api/v1/agents/one/deployments", {});
  const { masterKey } = admin.database;
  const { sealed, identity } = await backUp(admin);
  const text = await textOf(opening(sealed, identity));
  const databaseUrl = await createEmptyDatabase(t);
  for (const change of [
    (it: string) => it.replace(/"last":"\d+"/, '"last":"9999999999999999999"'),
    (it: string) => it.replace(/"last":"\d+"/, '"last":"0"'),
    // Of the agent: how often it was deployed, and its workspace.
    (it: string) => it.replace(/(\tone\t[^\n]*\t)1(\t|\n)/, "$199999999999$2"),
    (it: string) => it.replace(/"rows":\d+/, '"rows":9007199254740992'),
    (it: string) => it.replace(/"version":1/, '"version":1e400'),
  ]) {
    const changed = change(text);
    assert.notEqual(changed, text);
    const { identity: other, recipient } = await newIdentity();
    const stream = await sealStream(new Blob([rehashed(changed)]).stream(), {
      recipients: [recipient],
    });
    const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
    await assert.rejects(
      restoreTo(databaseUrl, opening(bytes, other), { masterKey }),
      (error) => error instanceof ContainerError,
    );
    assert.ok(await isUntouched(databaseUrl));
  }
});

async function textOf(open: ReturnType<typeof opening>): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of open()) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
}

/** With the hash that its trailer then has to have. */
function rehashed(text: string): string {
  const end = text.slice(0, -1).lastIndexOf("\n") + 1;
  const trailer = JSON.parse(text.slice(end)) as { rows: number };
  const sha256 = hash("sha256", text.slice(0, end), "hex");
  return `${text.slice(0, end)}${JSON.stringify({ ...trailer, sha256 })}\n`;
}
