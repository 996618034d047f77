// The text that a user enters to save a secret: refuses obvious mistakes, and masks the key for display. Messages must never
// quote the key, and the mask must never show enough to help a guess.
import type { ProblemCode } from "../contract/index.ts";
import { RequestError } from "../platform/errors.ts";
import { keyProblem, type ProviderDefinition } from "../providers/index.ts";
import { VISIBLE_LINE } from "../platform/visible-text.ts";

const MAX_KEY_LENGTH = 4096;
const MAX_LABEL_LENGTH = 200;
const ENVIRONMENT = /^[a-z0-9][a-z0-9-]{0,62}$/;
const MIN_MASKED_LENGTH = 16;

// What people copy together with a key: a line of a shell script or of a .env file, or a header. A key in base64 passes, since its "="
// stands at the end or before another "=".
const SETTING =
  /^\s*(?:export\s+|setx?\s+|\$env:)?(?:\w+_\w+|\w*(?:key|token|secret))\s*[=:]\s*[^\s=]/i;
const HEADER = /^\s*(?:-H\s*)?["']?(?:(?:proxy-)?authorization|(?:\w+-)+(?:key|token))["']?\s*:/i;

const MISTAKES: readonly {
  code: ProblemCode;
  made: (value: string) => boolean;
  message: string;
}[] = [
  {
    code: "key_empty",
    made: (value) => value.trim() === "",
    message: "The key is empty. Paste the provider's key.",
  },
  {
    code: "key_is_ours",
    made: (value) => /x3s(?:proxy|key|reg|setup)_/.test(value),
    message:
      "This is one of x3sproxy's own tokens. Save the real key, from the provider's console, here; " +
      "the x3sproxy token belongs in the agent.",
  },
  {
    code: "key_has_name",
    made: (value) => SETTING.test(value) || HEADER.test(value),
    message:
      "What was pasted begins with the name of a variable (as in OPENAI_API_KEY=…) or of a header. " +
      "Give the key alone, without what stands before it and without quotation marks.",
  },
  {
    code: "key_has_odd_characters",
    made: (value) => !VISIBLE_LINE.test(value.replace(/\s/g, "")),
    message:
      "There are characters in the key that nobody sees: some web pages and chat programs add them to copied text. " +
      "Copy the key again, with the provider's copy button.",
  },
  {
    code: "key_has_whitespace",
    made: (value) => /\s/.test(value),
    message:
      "There is white space or a line break in the key. Copy the key again, alone and in one piece, " +
      'without a word such as "Bearer" before it.',
  },
  {
    code: "key_has_quotes",
    made: (value) => /["'`]/.test(value),
    message: "There are quotation marks in the key. Leave them out.",
  },
  {
    code: "key_has_odd_characters",
    made: (value) => !/^[\x21-\x7e]*$/.test(value),
    message:
      "There are characters in the key that no header can carry (it may have been shortened or masked " +
      "where you copied it). Copy the full key from the provider's console.",
  },
  {
    code: "key_too_long",
    made: (value) => value.length > MAX_KEY_LENGTH,
    message: `The key is longer than ${MAX_KEY_LENGTH} characters. Check that it is a key and not a whole file.`,
  },
];

/** Throws RequestError 422 on the first mistake found in `value`. `provider` is undefined for a custom one. */
export function refuseMistakes(provider: ProviderDefinition | undefined, value: string): void {
  const mistake = MISTAKES.find(({ made }) => made(value));
  if (mistake !== undefined) throw new RequestError(422, mistake.code, mistake.message);
  const problem = keyProblem(provider, value);
  if (problem !== undefined) throw new RequestError(422, "key_of_other_provider", problem);
}

/** Throws RequestError 422 for a malformed environment or label, and for a label that contains the key. */
export function refuseDescription({
  environment,
  label = "",
  value,
}: {
  environment: string;
  label?: string;
  value: string;
}): void {
  if (!ENVIRONMENT.test(environment)) {
    throw new RequestError(
      422,
      "environment_malformed",
      "An environment's name has up to 63 lower-case letters, digits and dashes, as in production.",
    );
  }
  refuseLabel(label);
  if (label.includes(value)) {
    throw new RequestError(422, "label_has_key", "The label holds the key itself. Take it out.");
  }
}

/** Throws RequestError 422 for a label that is not one line of visible characters. */
export function refuseLabel(label: string): void {
  if (label.length > MAX_LABEL_LENGTH || !VISIBLE_LINE.test(label)) {
    throw new RequestError(
      422,
      "label_malformed",
      `A label is one line of up to ${MAX_LABEL_LENGTH} visible characters.`,
    );
  }
}

/**
 * `sk-…abcd`: the last 4 characters, after at most 3 of a well-known kind of prefix (2 to 5 lower-case letters and a dash or
 * underscore). Nothing at all of a key shorter than 16 characters.
 */
export function mask(value: string): string {
  if (value.length < MIN_MASKED_LENGTH) return "…";
  const prefix = /^[a-z]{2,5}[-_]/.test(value) ? value.slice(0, 3) : "";
  return `${prefix}…${value.slice(-4)}`;
}
