import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after, before } from "node:test";
import { readConfig } from "../../src/platform/config.ts";
import { ConfigError } from "../../src/platform/errors.ts";
import { loadMasterKeys } from "../../src/vault/index.ts";
import { runCli } from "../cli/fixture.ts";
import {
  createFakeKms,
  FAKE_CREDENTIALS,
  KMS_KEY,
  REGION,
  signatureOf,
  type FakeCredentials,
} from "../support/fake-kms.ts";
import { createHttpUpstream } from "../support/http-upstream.ts";
import { ringOf } from "./fixture.ts";

const folder = await mkdtemp(join(tmpdir(), "x3sproxy kms "));
let kms: Awaited<ReturnType<typeof createFakeKms>>;
before(async () => {
  kms = await createFakeKms();
});
after(async () => {
  await kms.close();
  await rm(folder, { recursive: true });
});
let files = 0;

async function fileOf(text: string): Promise<string> {
  const path = join(folder, `keys ${++files}`);
  await writeFile(path, text);
  return path;
}
const environment = (o: FakeCredentials = FAKE_CREDENTIALS) => ({
  AWS_ACCESS_KEY_ID: o.accessKeyId,
  AWS_SECRET_ACCESS_KEY: o.secretAccessKey,
  ...(o.sessionToken !== undefined && { AWS_SESSION_TOKEN: o.sessionToken }),
  AWS_REGION: REGION,
  AWS_ENDPOINT_URL_KMS: kms.endpoint,
});
async function load(text: string, env: Record<string, string> = environment()) {
  const config = readConfig({ ...env, X3SPROXY_MASTER_KEY_KMS: await fileOf(text) });
  return loadMasterKeys(config, { mayCreate: false });
}
const refuses = (work: Promise<unknown>, message: RegExp) =>
  assert.rejects(work, (error) => {
    assert.ok(error instanceof ConfigError, String(error));
    assert.match(error.message, message);
    assert.ok(!error.message.includes(FAKE_CREDENTIALS.secretAccessKey));
    return true;
  });

test("the stand-in's signatures are those of AWS's published test suite", () => {
  // Its keys are AWS's own examples, and open nothing.
  const suite = {
    ...{ path: "/", body: "", date: "20150830T123600Z", signedHeaders: ["host", "x-amz-date"] },
    headers: { host: "example.amazonaws.com", "x-amz-date": "20150830T123600Z" },
    scope: "20150830/us-east-1/service/aws4_request",
    secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
  };
  const vectors = {
    GET: "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
    POST: "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
  };
  for (const [method, signature] of Object.entries(vectors)) {
    assert.equal(signatureOf({ ...suite, method }), signature);
  }
});

test("each line is opened by KMS, with our encryption context", async () => {
  const [one, two] = [randomBytes(32), randomBytes(32)];
  const base64 = Buffer.from(`${two.toString("base64")}\n`);
  const ring = await load(`# two keys\n${kms.seal(one)}\n${kms.seal(base64)} # as text\n`);
  const expected = await ringOf(`${one.toString("base64")} ${two.toString("base64")}`);
  assert.deepEqual(ring.ids, expected.ids);
  assert.deepEqual(
    kms.calls.map(({ operation, body }) => [operation, body["EncryptionContext"]]),
    Array.from({ length: 2 }, () => ["Decrypt", { service: "x3sproxy" }]),
  );
});

test("a passing failure of KMS is tried again, a lasting one is told", async () => {
  const blob = kms.seal(randomBytes(32));
  kms.failNext(2);
  assert.equal((await load(blob)).ids.length, 1);
  kms.failNext(2, { status: 400, type: "ThrottlingException" });
  assert.equal((await load(blob)).ids.length, 1);
  kms.failNext(3);
  await refuses(load(blob), /AWS KMS refuses Decrypt \(500, KMSInternalException\)$/);
});

test("what KMS refuses is told in its own word, and nothing else of it", async () => {
  const good = kms.seal(randomBytes(32));
  await refuses(
    load(kms.seal(randomBytes(32), {})),
    /InvalidCiphertextException\)\. Was it sealed with/,
  );
  await refuses(load(kms.seal(randomBytes(31))), /no master key of 32 bytes/);
  const wrong = { ...FAKE_CREDENTIALS, secretAccessKey: "FAKE-another" };
  await refuses(load(good, environment(wrong)), /\(400, SignatureDoesNotMatch\)$/);
  await refuses(
    load("no base64!"),
    /the sealed master key in X3SPROXY_MASTER_KEY_KMS is not base64/,
  );
  await refuses(load("# nothing\n"), /no value in X3SPROXY_MASTER_KEY_KMS/);
  await refuses(load(good, { ...environment(), AWS_REGION: "" }), /set AWS_REGION/);
  await refuses(
    load(good, { ...environment(), AWS_ENDPOINT_URL_KMS: "http://kms.example" }),
    /give an https URL/,
  );
  await refuses(
    load(good, { ...environment(), AWS_ENDPOINT_URL_KMS: "http://127.0.0.1:1" }),
    /AWS KMS does not answer/,
  );
  const missing = readConfig({ ...environment(), X3SPROXY_MASTER_KEY_KMS: join(folder, "absent") });
  await refuses(loadMasterKeys(missing, { mayCreate: false }), /names no file/);
});

test("credentials come from the container, the instance or a web identity where the environment has none", async (t) => {
  const temporary = { ...FAKE_CREDENTIALS, sessionToken: "FAKE-session-token" };
  const theirs = await createFakeKms(temporary);
  const { accessKeyId: AccessKeyId, secretAccessKey: SecretAccessKey } = temporary;
  const seen: string[] = [];
  const given = { AccessKeyId, SecretAccessKey, Token: temporary.sessionToken };
  const nearby = await createHttpUpstream((request, response) => {
    const { method = "", url = "", headers } = request;
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const body = Buffer.concat(chunks).toString();
      seen.push(`${method} ${url}`);
      const session = headers["x-aws-ec2-metadata-token"] === "FAKE-imds-token";
      if (url === "/container" && headers.authorization === "FAKE-pod-token") {
        response.end(JSON.stringify(given));
      } else if (method === "PUT" && url === "/latest/api/token") response.end("FAKE-imds-token");
      else if (session && url === "/latest/meta-data/iam/security-credentials/")
        response.end("role");
      else if (session && url.endsWith("/role")) response.end(JSON.stringify(given));
      else if (method === "POST" && /WebIdentityToken=FAKE-web-token/.test(body)) {
        const Credentials = { AccessKeyId, SecretAccessKey, SessionToken: temporary.sessionToken };
        const AssumeRoleWithWebIdentityResult = { Credentials };
        response.end(
          JSON.stringify({
            AssumeRoleWithWebIdentityResponse: { AssumeRoleWithWebIdentityResult },
          }),
        );
      } else response.writeHead(404).end();
    });
  });
  t.after(async () => {
    await theirs.close();
    await nearby.close();
  });
  const blob = theirs.seal(randomBytes(32));
  const base = { AWS_REGION: REGION, AWS_ENDPOINT_URL_KMS: theirs.endpoint };
  const sources: Record<string, Record<string, string>> = {
    container: {
      AWS_CONTAINER_CREDENTIALS_FULL_URI: `${nearby.origin}/container`,
      AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: await fileOf("FAKE-pod-token\n"),
    },
    instance: { AWS_EC2_METADATA_SERVICE_ENDPOINT: nearby.origin },
    "web identity": {
      AWS_WEB_IDENTITY_TOKEN_FILE: await fileOf("FAKE-web-token\n"),
      AWS_ROLE_ARN: "arn:aws:iam::111122223333:role/fake",
      AWS_ENDPOINT_URL_STS: nearby.origin,
    },
  };
  for (const [name, env] of Object.entries(sources)) {
    assert.equal((await load(blob, { ...base, ...env })).ids.length, 1, name);
  }
  assert.equal(seen.length, 5);
  await refuses(
    load(blob, { ...base, AWS_EC2_METADATA_DISABLED: "true" }),
    /no credentials for AWS/,
  );
  await refuses(
    load(blob, { ...base, AWS_CONTAINER_CREDENTIALS_FULL_URI: "http://example.com/x" }),
    /give an https URL/,
  );
  await refuses(
    load(blob, {
      ...{ ...base, ...sources["web identity"] },
      AWS_ENDPOINT_URL_STS: "http://sts.example.com",
    }),
    /AWS_ENDPOINT_URL_STS: .*give an https URL/,
  );
});

test("`master-key generate --kms` makes a line that opens, of a key that nobody has seen", async () => {
  const output = join(folder, "made.kms");
  const run = (...args: string[]) =>
    runCli(["master-key", "generate", "--kms", ...args], { environment: environment() });
  assert.equal((await run(KMS_KEY, "--output", output)).status, 0);
  assert.equal((await run(KMS_KEY, "--add-to", output)).status, 0);
  const ring = await load(await readFile(output, "utf8"));
  assert.equal(ring.ids.length, 2);
  const refused = await run("alias/other");
  assert.equal(refused.status, 1);
  assert.match(
    refused.stderr,
    /refuses GenerateDataKeyWithoutPlaintext \(400, NotFoundException\)/,
  );
});
