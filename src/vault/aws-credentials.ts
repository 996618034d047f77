// Finds credentials for AWS in the order of AWS's SDKs: the environment, a web identity (EKS), the container (ECS, EKS), the instance
// (IMDSv2). Does not read profiles. Must never store or log a credential.
import { z } from "zod";
import { readSmallFile } from "../platform/bounded-file.ts";
import type { AwsSettings } from "../platform/config.ts";
import { ConfigError } from "../platform/errors.ts";
import { parseJson } from "../platform/unknown-values.ts";

export interface AwsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string | undefined;
}

/** Sends a request, through the forward proxy if one is configured for its URL. */
export type Send = (
  url: string,
  init: { method: string; headers: Record<string, string>; body?: string },
) => Promise<{ status: number; text: string }>;

const LOCAL_TIMEOUT_MS = 2000;
// The hosts that the SDKs allow without TLS: this machine, and the agents of ECS and EKS.
const LOCAL_HOSTS = new Set([
  ...["127.0.0.1", "localhost", "[::1]"],
  ...["169.254.170.2", "169.254.170.23", "[fd00:ec2::23]"],
]);

const container = z.object({
  AccessKeyId: z.string(),
  SecretAccessKey: z.string(),
  Token: z.string().optional(),
});
const assumed = z.object({
  AssumeRoleWithWebIdentityResponse: z.object({
    AssumeRoleWithWebIdentityResult: z.object({
      Credentials: z.object({
        AccessKeyId: z.string(),
        SecretAccessKey: z.string(),
        SessionToken: z.string(),
      }),
    }),
  }),
});

/** Whether nobody can read the traffic: it uses TLS or stays on this machine. */
export function isPrivate(url: string): boolean {
  return /^https:|^http:\/\/(?:localhost|127\.0\.0\.1|\[::1\])[:/]/.test(`${url}/`);
}

/** The first credentials found. Throws ConfigError when there are none, or when configured ones can't be read. */
export async function findCredentials(aws: AwsSettings, send: Send): Promise<AwsCredentials> {
  const { accessKeyId, secretAccessKey, sessionToken } = aws;
  if (accessKeyId !== undefined && secretAccessKey !== undefined) {
    return { accessKeyId, secretAccessKey, sessionToken };
  }
  if (aws.webIdentityTokenFile !== undefined) return ofWebIdentity(aws, send);
  if (aws.containerCredentialsUrl !== undefined) return ofContainer(aws);
  const found =
    aws.metadataEndpoint === undefined ? undefined : await ofInstance(aws.metadataEndpoint);
  if (found !== undefined) return found;
  throw new ConfigError(
    "X3SPROXY_MASTER_KEY_KMS: there are no credentials for AWS: neither AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, " +
      "nor a web identity, a container's or an instance's role",
  );
}

/** Calls AssumeRoleWithWebIdentity of AWS STS, which needs no signature. */
async function ofWebIdentity(aws: AwsSettings, send: Send): Promise<AwsCredentials> {
  const { roleArn, region } = aws;
  if (roleArn === undefined) {
    throw new ConfigError("set AWS_ROLE_ARN beside AWS_WEB_IDENTITY_TOKEN_FILE");
  }
  const url = aws.stsEndpoint ?? `https://sts.${region ?? ""}.amazonaws.com`;
  if (!isPrivate(url)) {
    throw new ConfigError(
      "AWS_ENDPOINT_URL_STS: credentials go there and come from there, so give an https URL, or one of this machine",
    );
  }
  const token = await readToken(aws.webIdentityTokenFile ?? "", "AWS_WEB_IDENTITY_TOKEN_FILE");
  const { status, text } = await send(url, {
    method: "POST",
    headers: { "content-type": "application/x-www-form-urlencoded", accept: "application/json" },
    body: new URLSearchParams({
      Action: "AssumeRoleWithWebIdentity",
      Version: "2011-06-15",
      RoleArn: roleArn,
      RoleSessionName: "x3sproxy",
      WebIdentityToken: token,
    }).toString(),
  });
  const parsed = status === 200 ? assumed.safeParse(parseJson(text)) : undefined;
  if (parsed?.success !== true) {
    throw new ConfigError(`AWS STS does not give the role of AWS_ROLE_ARN (status ${status})`);
  }
  const it =
    parsed.data.AssumeRoleWithWebIdentityResponse.AssumeRoleWithWebIdentityResult.Credentials;
  return {
    accessKeyId: it.AccessKeyId,
    secretAccessKey: it.SecretAccessKey,
    sessionToken: it.SessionToken,
  };
}

async function ofContainer(aws: AwsSettings): Promise<AwsCredentials> {
  const { containerTokenFile } = aws;
  const url = URL.parse(aws.containerCredentialsUrl ?? "");
  if (url === null || !(url.protocol === "https:" || LOCAL_HOSTS.has(url.hostname))) {
    throw new ConfigError(
      "AWS_CONTAINER_CREDENTIALS_FULL_URI: give an https URL, or one of this machine or of the agents of ECS and EKS",
    );
  }
  const token =
    containerTokenFile === undefined
      ? aws.containerToken
      : await readToken(containerTokenFile, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
  const { status, text } = await requestLocal(url.href, "GET", {
    ...(token !== undefined && { authorization: token }),
  });
  const parsed = status === 200 ? container.safeParse(parseJson(text)) : undefined;
  if (parsed?.success !== true) {
    throw new ConfigError(`the container's credentials for AWS can't be had (status ${status})`);
  }
  return toCredentials(parsed.data);
}

/** Undefined when this machine isn't an instance, or has no role. */
async function ofInstance(endpoint: string): Promise<AwsCredentials | undefined> {
  const path = `${endpoint}/latest/meta-data/iam/security-credentials/`;
  try {
    const seconds = { "x-aws-ec2-metadata-token-ttl-seconds": "60" };
    const session = await requestLocal(`${endpoint}/latest/api/token`, "PUT", seconds);
    if (session.status !== 200) return undefined;
    const headers = { "x-aws-ec2-metadata-token": session.text };
    const role = await requestLocal(path, "GET", headers);
    const name = role.text.split("\n")[0]?.trim() ?? "";
    if (role.status !== 200 || name === "") return undefined;
    const { text } = await requestLocal(path + encodeURIComponent(name), "GET", headers);
    const parsed = container.safeParse(parseJson(text));
    return parsed.success ? toCredentials(parsed.data) : undefined;
  } catch {
    return undefined;
  }
}

function toCredentials(it: z.infer<typeof container>): AwsCredentials {
  return {
    accessKeyId: it.AccessKeyId,
    secretAccessKey: it.SecretAccessKey,
    sessionToken: it.Token,
  };
}

/** Calls a service of this machine or network, never through a forward proxy. Status 0: no answer. */
async function requestLocal(url: string, method: string, headers: Record<string, string>) {
  const signal = AbortSignal.timeout(LOCAL_TIMEOUT_MS);
  try {
    const answer = await fetch(url, { method, headers, signal, redirect: "error" });
    return { status: answer.status, text: await answer.text() };
  } catch {
    return { status: 0, text: "" };
  }
}

async function readToken(file: string, setting: string): Promise<string> {
  try {
    return (await readSmallFile(file)).toString("utf8").trim();
  } catch {
    throw new ConfigError(`${setting}: the file can't be read`);
  }
}
