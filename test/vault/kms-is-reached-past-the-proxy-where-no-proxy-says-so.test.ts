import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { readAwsSettings } from "../../src/platform/config.ts";
import { generateSealedKey } from "../../src/vault/aws-kms.ts";
import { createAuthority } from "../support/authority.ts";
import { createConnectProxy } from "../support/connect-proxy.ts";
import { FAKE_CREDENTIALS, KMS_KEY, REGION } from "../support/fake-kms.ts";

test("by name, address, block and port", async (t) => {
  const authority = await createAuthority();
  setDefaultCACertificates([...getCACertificates("default"), authority.certificate]);
  let asked = 0;
  const server = createServer(await authority.issue(), (_request, response) => {
    asked += 1;
    response.end(JSON.stringify({ CiphertextBlob: Buffer.from("FAKE").toString("base64") }));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const proxy = await createConnectProxy({ port });
  t.after(async () => {
    server.close();
    server.closeAllConnections();
    await proxy.close();
    await authority.remove();
  });
  for (const [host, noProxy, tunnels] of [
    ["127.0.0.1", undefined, 1],
    ["127.0.0.1", "10.0.0.0/8", 1],
    ["127.0.0.1", "10.0.0.0/8 127.0.0.0/8", 0],
    ["127.0.0.1", `127.0.0.1:${port}`, 0],
    ["127.0.0.1", "127.0.0.1:443", 1],
    ["localhost", "127.0.0.0/8", 1],
    ["localhost", "LOCALHOST.", 0],
    ["localhost", "other.test,*", 0],
  ] as const) {
    proxy.requests.length = 0;
    asked = 0;
    const aws = readAwsSettings({
      AWS_REGION: REGION,
      AWS_ACCESS_KEY_ID: FAKE_CREDENTIALS.accessKeyId,
      AWS_SECRET_ACCESS_KEY: FAKE_CREDENTIALS.secretAccessKey,
      AWS_ENDPOINT_URL_KMS: `https://${host}:${port}`,
    });
    const way = { httpsProxy: proxy.url, noProxy };
    assert.equal(await generateSealedKey(KMS_KEY, aws, way), "RkFLRQ==");
    assert.equal(asked, 1);
    assert.equal(proxy.requests.length, tunnels, `${host}, NO_PROXY=${noProxy ?? ""}`);
  }
});
