// A certificate authority of a test's own, made at run time: nothing on this machine trusts it unless it is told to.
import { randomUUID } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { isIP } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { generate } from "selfsigned";

export interface Authority {
  /** The CA certificate, PEM. */
  readonly certificate: string;
  /** The same in a file, for NODE_EXTRA_CA_CERTS and the like. */
  readonly file: string;
  /** A server certificate for localhost, 127.0.0.1 and the given names or addresses. */
  issue(...names: string[]): Promise<{ key: string; cert: string }>;
  /** The same, written to two files that `remove` deletes; each call writes over the pair before. */
  issueFiles(): Promise<{ certFile: string; keyFile: string; key: string; cert: string }>;
  /** Deletes the files. */
  remove(): Promise<void>;
}

/** Makes an authority. Its own key is P-256 and never leaves memory. */
export async function createAuthority(): Promise<Authority> {
  const common = { keyType: "ec", algorithm: "sha256" } as const;
  // Of two authorities with one name in a process, OpenSSL would check by the first.
  const name = `x3sproxy test authority ${randomUUID()}`;
  const ca = await generate([{ name: "commonName", value: name }], {
    ...common,
    extensions: [
      { name: "basicConstraints", cA: true, critical: true },
      { name: "keyUsage", keyCertSign: true, cRLSign: true, critical: true },
    ],
  });
  const folder = await mkdtemp(join(tmpdir(), "x3sproxy-authority-"));
  const file = join(folder, "ca.pem");
  await writeFile(file, ca.cert);
  const issue: Authority["issue"] = async (...names) => {
    const altNames = ["localhost", "127.0.0.1", ...names].map((name) =>
      isIP(name) === 0 ? { type: 2 as const, value: name } : { type: 7 as const, ip: name },
    );
    const server = await generate([{ name: "commonName", value: "x3sproxy test server" }], {
      ...common,
      ca: { key: ca.private, cert: ca.cert },
      extensions: [
        { name: "basicConstraints", cA: false, critical: true },
        { name: "keyUsage", digitalSignature: true, critical: true },
        { name: "extKeyUsage", serverAuth: true },
        { name: "subjectAltName", altNames },
      ],
    });
    return { key: server.private, cert: server.cert };
  };
  return {
    certificate: ca.cert,
    file,
    issue,
    async issueFiles() {
      const pair = await issue();
      const certFile = join(folder, "server.pem");
      const keyFile = join(folder, "server-key.pem");
      await writeFile(certFile, pair.cert);
      await writeFile(keyFile, pair.key);
      return { ...pair, certFile, keyFile };
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}
