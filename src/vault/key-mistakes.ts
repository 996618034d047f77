// Obvious mistakes in a key that somebody is about to save, as one table. Messages say what to do and never quote the value.
import { RequestError, type ProblemCode } from "../errors.ts";
import { keyProblem, type ProviderDefinition } from "../providers/index.ts";

const MAX_LENGTH = 4096;

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
