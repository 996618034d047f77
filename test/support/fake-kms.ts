// A stand-in for AWS KMS that shares nothing with what it is to test: Signature Version 4 verified by a straightforward reading of AWS's
// description, and blobs that open with their encryption context alone. Also the endpoints that hand out credentials.
import { createCipheriv, createDecipheriv, createHash, createHmac, randomBytes } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createHttpUpstream } from "./http-upstream.ts";

export interface FakeCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

export const FAKE_CREDENTIALS: FakeCredentials = {
  accessKeyId: "AKIAFAKEFAKEFAKEFAKE",
  secretAccessKey: "FAKE/secret+access+key/FAKE",
};
export const REGION = "eu-central-1";
export const KMS_KEY = "arn:aws:kms:eu-central-1:111122223333:key/fake";

const hmac = (key: string | Buffer, text: string): Buffer =>
  createHmac("sha256", key).update(text).digest();
const sha256 = (text: string | Buffer): string => createHash("sha256").update(text).digest("hex");

/** The signature of a request, by "Signature Version 4 signing process", steps 1 to 3. Its path has nothing that needs encoding. */
export function signatureOf(o: {
  method: string;
  path: string;
  headers: Readonly<Record<string, string>>;
  signedHeaders: readonly string[];
  body: string | Buffer;
  date: string;
  scope: string;
  secret: string;
}): string {
  const canonical = [
    ...[o.method, o.path, ""],
    ...o.signedHeaders.map(
      (name) => `${name}:${(o.headers[name] ?? "").trim().replace(/ +/g, " ")}`,
    ),
    ...["", o.signedHeaders.join(";"), sha256(o.body)],
  ].join("\n");
  const toSign = ["AWS4-HMAC-SHA256", o.date, o.scope, sha256(canonical)].join("\n");
  const key = o.scope.split("/").reduce<string | Buffer>(hmac, `AWS4${o.secret}`);
  return hmac(key, toSign).toString("hex");
}

/** Starts one on loopback. */
export async function createFakeKms(credentials: FakeCredentials = FAKE_CREDENTIALS) {
  const wrappingKey = randomBytes(32);
  const calls: { operation: string; body: Record<string, unknown> }[] = [];
  let failing = { count: 0, status: 0, type: "" };

  const aad = (context: unknown): Buffer => Buffer.from(JSON.stringify(context ?? {}));
  function seal(plaintext: Buffer, context: unknown): string {
    const nonce = randomBytes(12);
    const cipher = createCipheriv("aes-256-gcm", wrappingKey, nonce).setAAD(aad(context));
    const sealed = Buffer.concat([cipher.update(plaintext), cipher.final()]);
    return Buffer.concat([nonce, cipher.getAuthTag(), sealed]).toString("base64");
  }
  function open(blob: Buffer, context: unknown): Buffer | undefined {
    try {
      const decipher = createDecipheriv("aes-256-gcm", wrappingKey, blob.subarray(0, 12))
        .setAAD(aad(context))
        .setAuthTag(blob.subarray(12, 28));
      return Buffer.concat([decipher.update(blob.subarray(28)), decipher.final()]);
    } catch {
      return undefined;
    }
  }

  function refusalOf(request: IncomingMessage, body: Buffer): string | undefined {
    const { headers } = request;
    const match =
      /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(.+), SignedHeaders=(.+), Signature=([0-9a-f]{64})$/.exec(
        headers.authorization ?? "",
      );
    if (match === null) return "MissingAuthenticationTokenException";
    const [, accessKeyId, scope = "", names = "", signature] = match;
    const signedHeaders = names.split(";");
    const date = String(headers["x-amz-date"]);
    const day = date.slice(0, 8);
    if (accessKeyId !== credentials.accessKeyId) return "UnrecognizedClientException";
    if (scope !== `${day}/${REGION}/kms/aws4_request`) return "SignatureDoesNotMatch";
    if (headers["x-amz-security-token"] !== credentials.sessionToken) return "InvalidClientTokenId";
    for (const needed of ["host", "x-amz-date", "x-amz-target"]) {
      if (!signedHeaders.includes(needed)) return "SignatureDoesNotMatch";
    }
    const age =
      Date.now() - Date.parse(date.replace(/(....)(..)(..)T(..)(..)(..)Z/, "$1-$2-$3T$4:$5:$6Z"));
    if (!(Math.abs(age) < 300_000)) return "SignatureDoesNotMatch";
    const expected = signatureOf({
      ...{
        method: request.method ?? "",
        path: request.url ?? "",
        signedHeaders,
        body,
        date,
        scope,
      },
      headers: headers as Record<string, string>,
      secret: credentials.secretAccessKey,
    });
    return signature === expected ? undefined : "SignatureDoesNotMatch";
  }

  function answerKms(
    request: IncomingMessage,
    response: ServerResponse,
    body: Buffer,
  ): ServerResponse {
    const say = (status: number, it: object): ServerResponse => {
      response.writeHead(status, { "content-type": "application/x-amz-json-1.1" });
      return response.end(JSON.stringify(it));
    };
    if (failing.count > 0) {
      failing.count -= 1;
      return say(failing.status, { __type: failing.type });
    }
    const refused = refusalOf(request, body);
    if (refused !== undefined) return say(400, { __type: refused, message: "FAKE message" });
    const operation = String(request.headers["x-amz-target"]).replace("TrentService.", "");
    const asked = JSON.parse(body.toString()) as Record<string, unknown>;
    calls.push({ operation, body: asked });
    if (operation === "GenerateDataKeyWithoutPlaintext") {
      if (asked["KeyId"] !== KMS_KEY) return say(400, { __type: "NotFoundException" });
      const key = randomBytes(Number(asked["NumberOfBytes"]));
      return say(200, { CiphertextBlob: seal(key, asked["EncryptionContext"]), KeyId: KMS_KEY });
    }
    const blob = Buffer.from(String(asked["CiphertextBlob"]), "base64");
    const plaintext = open(blob, asked["EncryptionContext"]);
    if (plaintext === undefined) return say(400, { __type: "InvalidCiphertextException" });
    return say(200, { Plaintext: plaintext.toString("base64"), KeyId: KMS_KEY });
  }

  const upstream = await createHttpUpstream((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => answerKms(request, response, Buffer.concat(chunks)));
  });
  return {
    endpoint: upstream.origin,
    calls,
    seal: (plaintext: Buffer, context: unknown = { service: "x3sproxy" }) =>
      seal(plaintext, context),
    failNext: (count: number, how = { status: 500, type: "KMSInternalException" }) =>
      void (failing = { count, ...how }),
    close: () => upstream.close(),
  };
}
