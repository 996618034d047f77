// The names of environment variables that hold a key of a provider, or a credential of a cloud that serves models or is used beside one.
import type { ProviderDefinition } from "./definition.ts";

/** What these clouds' own tools call their credentials begins so. */
const CLOUDS = [
  ...["AWS", "AMAZON", "AZURE", "ARM", "GOOGLE", "GCP", "GCLOUD", "CLOUDSDK", "VERTEX", "VERTEXAI"],
  ...["ALIBABA_CLOUD", "ALIYUN", "CLOUDFLARE", "CF", "DIGITALOCEAN", "FLY", "HCLOUD", "IBM"],
  ...["IBMCLOUD", "LINODE", "OCI", "OVH", "SCW", "TENCENTCLOUD", "VULTR"],
];
/** And those that don't end as the others do. */
const CLOUD_VARIABLES = [
  "AWS_CONTAINER_CREDENTIALS_FULL_URI",
  "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
  "AZURE_CLIENT_CERTIFICATE_PATH",
  "CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE",
  "GCLOUD_KEYFILE_JSON",
  "GOOGLE_CLOUD_KEYFILE_JSON",
  "IDENTITY_HEADER", // of Azure's managed identities
  "MSI_SECRET",
  "OCI_CLI_KEY_CONTENT",
];

// OPENAI_API_KEY, FAL_KEY_SECRET, HF_TOKEN_PATH, GEMINI_API_KEY_2, MISTRAL_API_KEY_PROD; not OPENAI_MAX_TOKENS.
const WORD =
  "(?:API_?KEY|ACCESS_?KEY(?:_ID)?|KEY|TOKEN|SECRET|CREDENTIALS?|PASSWORD|CONNECTION_STRING)S?(?:_?\\d+)?" +
  "(?:_(?:PROD(?:UCTION)?|LIVE|STAG(?:E|ING)|DEV(?:ELOPMENT)?|LOCAL|TEST(?:ING)?|CI|OLD|NEW|BACKUP|PRIMARY|SECONDARY|WORK|PERSONAL))?" +
  "(?:_(?:FILE|PATH|JSON|BASE64|B64))?";
const COUNTED = /_TOKENS(?:_?\d+)?$/;
// A shorter beginning may be the end of another's name: MY_CF_TOKEN.
const DISTINCT = 4;

/** Whether a variable of this name holds a key or leads to one. Names are compared without regard to case. */
export function createKeyVariables(
  providers: readonly ProviderDefinition[],
): (name: string) => boolean {
  const known = providers.flatMap(({ client, otherKeyVariables = [] }) => [
    client.keyVariable,
    ...otherKeyVariables,
  ]);
  const ends = new RegExp(`_${WORD}$`);
  // What stands before the word for a key: other tools put another word there.
  const beginnings = known.filter((name) => ends.test(name)).map((name) => firstPart(name));
  const all = new Set([...beginnings, ...CLOUDS]);
  const [distinct, short] = [true, false].map((isDistinct) =>
    [...all].filter((each) => each.length >= DISTINCT === isDistinct).join("|"),
  );
  const fits = new RegExp(`(?:(?:^|_)(?:${distinct})|^(?:${short}))(?:_[A-Z0-9]+)*?_${WORD}$`);
  const exactly = new Set([...known, ...CLOUD_VARIABLES]);
  return (name) => {
    const upper = name.toUpperCase();
    return exactly.has(upper) || (fits.test(upper) && !COUNTED.test(upper));
  };
}

/** `AZURE_OPENAI` of `AZURE_OPENAI_API_KEY`. */
function firstPart(name: string): string {
  return name.replace(/(?:_(?:API|ADMIN|AUTH|ACCESS|HUB))*_(?:KEY|TOKEN|SECRET|CREDENTIAL)$/, "");
}
