import assert from "node:assert/strict";
import { request } from "node:https";
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { it } from "node:test";
import { runCli } from "../cli/fixture.ts";
import { createAuthority } from "../support/authority.ts";
import { createTestDatabase } from "../support/database.ts";
import { runService } from "../support/service.ts";

it("both listeners speak TLS, the command line follows, and the base URLs begin with https", async (t) => {
  const authority = await createAuthority();
  const database = await createTestDatabase();
  const { certFile, keyFile } = await authority.issueFiles();
  const service = await runService({
    database,
    env: {
      X3SPROXY_TLS_CERT_FILE: certFile,
      X3SPROXY_TLS_KEY_FILE: keyFile,
      NODE_EXTRA_CA_CERTS: authority.file,
    },
  });
  t.after(async () => {
    await service.remove();
    await database.drop();
    await authority.remove();
  });
  assert.match(service.output.stderr, /proxy +https:\/\/127.*\n +admin +https:\/\/127/);
  assert.match(service.output.stderr, /metrics +http:\/\/127/);
  assert.match(service.output.stderr, /https:\/\/127\.0\.0\.1:\d+\/setup#token=/);

  const deployed = await service.cliJson(["agent", "deploy", "coder", "--providers", "openai"]);
  const { openai = "" } = deployed["baseUrls"] as Record<string, string>;
  assert.match(openai, /^https:\/\/127\.0\.0\.1:\d+\/openai$/);
  const asking = request(`${openai}/v1/models`, {
    ca: authority.certificate,
    headers: { authorization: `Bearer ${String(deployed["token"])}` },
  }).end();
  const [answer] = (await once(asking, "response")) as [IncomingMessage];
  assert.equal(answer.statusCode, 403);
  assert.equal(answer.headers["x3sproxy-refusal"], "no_secret");
  answer.resume();

  const environment = {
    X3SPROXY_ADMIN_URL: service.adminUrl.replace("http:", "https:"),
    X3SPROXY_API_KEY: service.apiKey,
  };
  const { status, stderr } = await runCli(["agent", "list"], { environment });
  assert.equal(status, 1);
  assert.match(stderr, /certificate .*is not trusted.*\n.*NODE_EXTRA_CA_CERTS/);
});
