// Which passwords are accepted: long enough, and none that an attacker tries first. No rule asks for kinds of characters (NIST SP
// 800-63B, 5.1.1.2). Must never quote a password.
import { createRequire } from "node:module";
import { RequestError } from "../platform/errors.ts";
import { normalized } from "./passwords.ts";

const PASSWORD_MIN_LENGTH = 12;
const PASSWORD_MAX_LENGTH = 1024;

const PRODUCT = "x3sproxy";
// The alphabet, the digits and the rows of a keyboard, forwards and backwards.
const RUNS = [
  "abcdefghijklmnopqrstuvwxyz",
  "1234567890",
  "qwertyuiop",
  "asdfghjkl",
  "zxcvbnm",
].flatMap((run) => [run.repeat(2), Array.from(run.repeat(2)).reverse().join("")]);
const LONGEST_UNIT = 4;
// The most common passwords, which are compared without digits and signs around them. Below this rank the list has ordinary words, of
// which a good password may be made.
const RANKS_BY_CORE = 10_000;

/** Throws RequestError 422 `password_too_short`, `password_too_long` or `password_common`. `email`: whose password it will be. */
export function checkPassword(password: string, email: string): void {
  const text = normalized(password);
  const length = Array.from(text).length;
  if (length < PASSWORD_MIN_LENGTH || length > PASSWORD_MAX_LENGTH) {
    throw new RequestError(
      422,
      length < PASSWORD_MIN_LENGTH ? "password_too_short" : "password_too_long",
      `Give a password of ${PASSWORD_MIN_LENGTH} to ${PASSWORD_MAX_LENGTH} characters.`,
    );
  }
  if (isCommon(text.toLowerCase(), email.toLowerCase())) {
    throw new RequestError(
      422,
      "password_common",
      "This password is one of the first that an attacker tries. A few unrelated words make a better one.",
    );
  }
}

function isCommon(text: string, email: string): boolean {
  const core = coreOf(text);
  const [local = "", domain = ""] = email.split("@");
  const obvious = [
    PRODUCT,
    coreOf(local),
    coreOf(domain),
    coreOf(domain.split(".")[0] ?? ""),
    coreOf(email),
  ];
  const { long, cores } = commonPasswords();
  return (
    long.has(text) ||
    cores.has(core) ||
    (core !== "" && obvious.includes(core)) ||
    RUNS.some((run) => run.includes(text)) ||
    isRepetition(text)
  );
}

/** The text without digits and signs around it, and without signs in it. */
function coreOf(text: string): string {
  return text.replace(/^[^\p{L}]+|[^\p{L}]+$/gu, "").replace(/[^\p{L}\p{N}]/gu, "");
}

/** Whether it repeats one to four characters. */
function isRepetition(text: string): boolean {
  for (let unit = 1; unit <= LONGEST_UNIT; unit++) {
    if (
      text ===
      text
        .slice(0, unit)
        .repeat(Math.ceil(text.length / unit))
        .slice(0, text.length)
    ) {
      return true;
    }
  }
  return false;
}

let lists: { long: ReadonlySet<string>; cores: ReadonlySet<string> } | undefined;

/** The known common passwords, read on first use. `long`: those of an accepted length; `cores`: the cores of the most common ones. */
function commonPasswords() {
  if (lists === undefined) {
    const { dictionary } = createRequire(import.meta.url)("@zxcvbn-ts/language-common") as {
      dictionary: { "passwords-common": readonly string[] };
    };
    const byRank = dictionary["passwords-common"];
    lists = {
      long: new Set(byRank.filter((each) => each.length >= PASSWORD_MIN_LENGTH)),
      cores: new Set(
        byRank
          .slice(0, RANKS_BY_CORE)
          .map(coreOf)
          .filter((core) => core !== ""),
      ),
    };
  }
  return lists;
}
