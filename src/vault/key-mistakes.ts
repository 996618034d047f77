// Obvious mistakes in a key that somebody is about to save, as one table. Messages say what to do and never quote the value.
import type { ProblemCode } from "../contract/index.ts";
import { RequestError } from "../platform/errors.ts";
import { keyProblem, type ProviderDefinition } from "../providers/index.ts";
import { VISIBLE_LINE } from "../platform/visible-text.ts";

const MAX_LENGTH = 4096;

// What people copy together with a key: a line of a shell or of a .env file, or a header. A key in base64 passes: what comes behind its
// "=" is nothing, or another.
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
      "There are characters in the key that nobody sees, as some web pages and chats put them into what is copied. " +
      "Copy the key again, with the provider's own button for it.",
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
    made: (value) => value.length > MAX_LENGTH,
    message: `The key is longer than ${MAX_LENGTH} characters. Check that it is a key and not a whole file.`,
  },
];

/** Throws RequestError 422 on the first mistake found in `value`. `provider` is undefined for a custom one. */
export function refuseMistakes(provider: ProviderDefinition | undefined, value: string): void {
  const mistake = MISTAKES.find(({ made }) => made(value));
  if (mistake !== undefined) throw new RequestError(422, mistake.code, mistake.message);
  const problem = keyProblem(provider, value);
  if (problem !== undefined) throw new RequestError(422, "key_of_other_provider", problem);
}
