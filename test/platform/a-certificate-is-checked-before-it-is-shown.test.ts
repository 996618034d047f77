import assert from "node:assert/strict";
import { createPrivateKey } from "node:crypto";
import { rm, writeFile } from "node:fs/promises";
import { after, before, it } from "node:test";
import { openCertificate } from "../../src/platform/certificate.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { readConfig, type TlsFiles } from "../../src/platform/config.ts";
import { ConfigError } from "../../src/platform/errors.ts";
import { createLog } from "../../src/platform/log.ts";
import { createAuthority, type Authority } from "../support/authority.ts";

const CERTIFICATE = "X3SPROXY_TLS_CERT_FILE";
const KEY = "X3SPROXY_TLS_KEY_FILE";

let authority: Authority;
before(async () => (authority = await createAuthority()));
after(() => authority.remove());

/** Opens the pair; gives what was logged. */
async function open(files: TlsFiles, clock = systemClock): Promise<string> {
  const lines: string[] = [];
  const log = createLog({ level: "debug", destination: { write: (line) => lines.push(line) } });
  await openCertificate(files, { log, clock });
  return lines.join("");
}

/** What opening is refused with. */
async function refusal(files: TlsFiles): Promise<string> {
  const error: unknown = await open(files).catch((thrown: unknown) => thrown);
  assert.ok(error instanceof ConfigError);
  return error.message;
}

it("both files or neither; the default URLs then begin with https", () => {
  const both = { [CERTIFICATE]: "cert.pem", [KEY]: "key.pem" };
  for (const setting of [CERTIFICATE, KEY]) {
    assert.throws(() => readConfig({ [setting]: "file.pem" }), /set both .*, or neither/);
  }
  const { tls, publicUrl, dashboardUrl } = readConfig(both);
  assert.deepEqual(tls, { certFile: "cert.pem", keyFile: "key.pem" });
  assert.deepEqual([publicUrl, dashboardUrl], ["https://127.0.0.1:8787", "https://127.0.0.1:8788"]);
  assert.equal(readConfig({}).tls, undefined);
  assert.equal(readConfig({}).publicUrl, "http://127.0.0.1:8787");
});

it("a good pair is taken in silence", async () => {
  assert.equal(await open(await authority.issueFiles()), "");
});

it("a file that can't be read, is no PEM, or belongs to another is named with what is wrong", async () => {
  const { certFile, keyFile, key } = await authority.issueFiles();
  const other = await authority.issue();
  assert.match(
    await refusal({ certFile: "/nowhere/x.pem", keyFile }),
    /^X3SPROXY_TLS_CERT_FILE: the file can't be read \(ENOENT\)$/,
  );
  assert.match(
    await refusal({ certFile, keyFile: "/nowhere/x.pem" }),
    /^X3SPROXY_TLS_KEY_FILE: the file can't be read \(ENOENT\)$/,
  );
  // The two mixed up.
  assert.match(await refusal({ certFile: keyFile, keyFile: certFile }), /^X3SPROXY_TLS_CERT_FILE:/);
  await writeFile(keyFile, "-----BEGIN PRIVATE KEY-----\nFAKE\n-----END PRIVATE KEY-----\n");
  assert.match(await refusal({ certFile, keyFile }), /^X3SPROXY_TLS_KEY_FILE: .*no private key/);
  await writeFile(keyFile, other.key);
  assert.match(await refusal({ certFile, keyFile }), /^X3SPROXY_TLS_KEY_FILE: .*not that of/);
  const sealed = createPrivateKey(key).export({
    format: "pem",
    type: "pkcs8",
    cipher: "aes-256-cbc",
    passphrase: "FAKE passphrase",
  });
  await writeFile(keyFile, sealed);
  assert.match(await refusal({ certFile, keyFile }), /^X3SPROXY_TLS_KEY_FILE: .*passphrase/);
  await writeFile(certFile, "");
  assert.match(await refusal({ certFile, keyFile }), /^X3SPROXY_TLS_CERT_FILE: .*no certificate/);
  await rm(certFile);
});

it("no message holds anything of the files or their paths", async () => {
  const { certFile, keyFile, key } = await authority.issueFiles();
  await writeFile(certFile, key);
  const message = await refusal({ certFile, keyFile });
  for (const line of key.trim().split(/\r?\n/)) assert.ok(!message.includes(line));
  assert.ok(!message.includes(certFile));
});

it("one that has expired, or is not yet valid, is shown all the same, with a warning", async () => {
  const files = await authority.issueFiles();
  const at = (nowMs: number) => ({ ...systemClock, nowMs: () => nowMs });
  assert.match(await open(files, at(Date.UTC(2100, 0))), /X3SPROXY_TLS_CERT_FILE: .*has expired/);
  assert.match(await open(files, at(Date.UTC(2000, 0))), /X3SPROXY_TLS_CERT_FILE: .*not yet valid/);
});
