// Master keys that AWS KMS seals: KMS generates them, and opens them at start. Each is bound to our encryption context, which KMS
// requires when it opens the key, and logs. Must never log or quote what KMS returns, except the type of an error.
import { setTimeout as delay } from "node:timers/promises";
import { AwsV4Signer } from "aws4fetch";
import { Agent, fetch, ProxyAgent, type Dispatcher } from "undici";
import { z } from "zod";
import type { AwsSettings, Config } from "../platform/config.ts";
import { ConfigError } from "../platform/errors.ts";
import { readNoProxy } from "../platform/no-proxy.ts";
import { parseJson } from "../platform/unknown-values.ts";
import { findCredentials, isPrivate, type Send } from "./aws-credentials.ts";
import { MASTER_KEY_BYTES, MasterKey } from "./master-key.ts";

const CONTEXT = { service: "x3sproxy" };
const TIMEOUT_MS = 10_000;
const TRIES = 3;
const RETRY_MS = 200;
const SETTING = "X3SPROXY_MASTER_KEY_KMS";

const plaintext = z.object({ Plaintext: z.base64() });
const ciphertext = z.object({ CiphertextBlob: z.base64() });
const refusal = z.object({ __type: z.string() });

/** Opens each sealed key by KMS (`Decrypt`). Throws ConfigError with the type of KMS's error. */
export async function decryptMasterKeys(
  sealed: readonly Buffer[],
  aws: AwsSettings,
  upstreamProxy?: Config["upstreamProxy"],
): Promise<MasterKey[]> {
  const kms = await connect(aws, upstreamProxy);
  try {
    const keys = new Map<string, MasterKey>();
    for (const blob of sealed) {
      const request = { CiphertextBlob: blob.toString("base64"), EncryptionContext: CONTEXT };
      const { Plaintext } = await kms.call("Decrypt", request, plaintext);
      const key = keyOf(Buffer.from(Plaintext, "base64"));
      keys.set(key.id, key);
    }
    return [...keys.values()];
  } finally {
    await kms.close();
  }
}

/** A new master key, sealed by the KMS key `keyId` (id, alias or ARN), as base64. Only KMS has seen it open. Throws ConfigError. */
export async function generateSealedKey(
  keyId: string,
  aws: AwsSettings,
  upstreamProxy?: Config["upstreamProxy"],
): Promise<string> {
  const kms = await connect(aws, upstreamProxy);
  try {
    const request = {
      KeyId: keyId,
      NumberOfBytes: MASTER_KEY_BYTES,
      EncryptionContext: CONTEXT,
    };
    const made = await kms.call("GenerateDataKeyWithoutPlaintext", request, ciphertext);
    return made.CiphertextBlob;
  } finally {
    await kms.close();
  }
}

/** Takes 32 bytes, or their base64, since operators may have sealed either with `aws kms encrypt`. */
function keyOf(bytes: Buffer): MasterKey {
  if (bytes.length === MASTER_KEY_BYTES) return new MasterKey(bytes);
  const decoded = Buffer.from(bytes.toString("latin1").trim(), "base64");
  bytes.fill(0);
  if (decoded.length === MASTER_KEY_BYTES) return new MasterKey(decoded);
  throw new ConfigError(
    `${SETTING}: what KMS opened is no master key of ${MASTER_KEY_BYTES} bytes`,
  );
}

async function connect(aws: AwsSettings, proxy: Config["upstreamProxy"] | undefined) {
  const { region } = aws;
  if (region === undefined || !/^[a-z0-9-]{1,40}$/.test(region)) {
    throw new ConfigError(
      `${SETTING}: set AWS_REGION to the region of the key, as in eu-central-1`,
    );
  }
  const url = aws.kmsEndpoint ?? `https://kms.${region}.amazonaws.com`;
  if (!isPrivate(url)) {
    throw new ConfigError(
      "AWS_ENDPOINT_URL_KMS: the master key comes from there, so give an https URL, or one of this machine",
    );
  }
  const direct = new Agent();
  const viaProxy =
    proxy?.httpsProxy === undefined ? undefined : new ProxyAgent(withScheme(proxy.httpsProxy));
  const bypasses = readNoProxy(proxy?.noProxy);
  const close = async (): Promise<void> => {
    await Promise.all([direct.close(), viaProxy?.close()]);
  };
  const send: Send = async (url, { method, headers, body }) => {
    const { protocol, hostname, port } = new URL(url);
    const isDirect =
      protocol === "http:" ||
      bypasses(hostname.replace(/^\[|\]$/g, ""), port === "" ? 443 : Number(port));
    const dispatcher: Dispatcher = isDirect ? direct : (viaProxy ?? direct);
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const answer = await fetch(url, {
      ...{ method, headers, dispatcher, signal, redirect: "error" },
      ...(body !== undefined && { body }),
    });
    return { status: answer.status, text: await answer.text() };
  };
  const credentials = await findCredentials(aws, send).catch(async (error: unknown) => {
    await close();
    throw error instanceof ConfigError ? error : unreachable("AWS STS");
  });

  const call = async <T>(operation: string, request: object, schema: z.ZodType<T>): Promise<T> => {
    const body = JSON.stringify(request);
    for (let tries = 1; ; tries += 1) {
      const signer = new AwsV4Signer({
        ...{ url, region, body, method: "POST", service: "kms" },
        accessKeyId: credentials.accessKeyId,
        secretAccessKey: credentials.secretAccessKey,
        ...(credentials.sessionToken !== undefined && { sessionToken: credentials.sessionToken }),
        headers: {
          "content-type": "application/x-amz-json-1.1",
          "x-amz-target": `TrentService.${operation}`,
        },
      });
      const signed = await signer.sign();
      const headers = Object.fromEntries(signed.headers.entries());
      const answer = await send(signed.url.href, { method: "POST", headers, body }).catch(
        () => undefined,
      );
      if (answer?.status === 200) {
        const parsed = schema.safeParse(parseJson(answer.text));
        if (parsed.success) return parsed.data;
      }
      if (tries < TRIES && isTransient(answer)) {
        await delay(RETRY_MS * tries);
        continue;
      }
      throw answer === undefined ? unreachable("AWS KMS") : refused(operation, answer);
    }
  };

  return { call, close };
}

/** HTTPS_PROXY may lack the scheme. */
function withScheme(proxy: string): string {
  return proxy.includes("://") ? proxy : `http://${proxy}`;
}

function unreachable(service: string): ConfigError {
  return new ConfigError(`${SETTING}: ${service} does not answer`);
}

type Answer = Awaited<ReturnType<Send>>;

/** Whether a retry may succeed. KMS answers 400 when it throttles. */
function isTransient(answer: Answer | undefined): boolean {
  if (answer === undefined || answer.status >= 500 || answer.status === 429) return true;
  return typeOf(answer) === "ThrottlingException";
}

/** The type of an error, such as AccessDeniedException. Nothing else of the answer is shown. */
function typeOf({ text }: Answer): string {
  const parsed = refusal.safeParse(parseJson(text));
  const word = parsed.success ? parsed.data.__type.split("#").at(-1) : undefined;
  return word !== undefined && /^\w{1,80}$/.test(word) ? word : "no reason given";
}

function refused(operation: string, answer: Answer): ConfigError {
  const type = typeOf(answer);
  const hint =
    type === "InvalidCiphertextException"
      ? '. Was it sealed with the encryption context {"service": "x3sproxy"}, and in this region?'
      : "";
  return new ConfigError(
    `${SETTING}: AWS KMS refuses ${operation} (${answer.status}, ${type})${hint}`,
  );
}
