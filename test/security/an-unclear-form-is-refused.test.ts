import assert from "node:assert/strict";
import { test } from "node:test";
import { FormReader } from "../../src/proxy/form-reader.ts";
import { soughtOf } from "../support/sought.ts";

const B = "boundary";

function verdict(body: string): string {
  const sought = soughtOf((model) => model === "good", ["models"]);
  const reader = new FormReader(sought, B);
  return reader.take(Buffer.from(body, "latin1")) ?? reader.end() ?? "allowed";
}

const part = (head: string, value: string): string => `--${B}\r\n${head}\r\n\r\n${value}\r\n`;
const field = (name: string, value: string): string =>
  part(`Content-Disposition: form-data; name="${name}"`, value);
const GOOD = field("model", "good");
const END = `--${B}--\r\n`;

const UNCLEAR: Record<string, string> = {
  "no field": END,
  "no model": field("prompt", "x") + END,
  "a second model": GOOD + GOOD + END,
  "another case": GOOD + field("Model", "evil") + END,
  "a list": GOOD + field("model[]", "evil") + END,
  "an element": GOOD + field("model[0]", "evil") + END,
  "an escaped name": GOOD + field("mod%65l", "evil") + END,
  "a name with a space": GOOD + field(" model", "evil") + END,
  "another charset": GOOD + field("_charset_", "utf-7") + END,
  "a rival": GOOD + field("models", "evil") + END,
  "a file as the model":
    part('Content-Disposition: form-data; name="model"; filename="a"', "good") + END,
  "half a quote": part('Content-Disposition: form-data; name=model"', "good") + END,
  "two words without quotes": part("Content-Disposition: form-data; name=a model", "good") + END,
  "a parameter that nobody knows":
    part('Content-Disposition: form-data; name="model"; size=4', "good") + END,
  "two file names":
    GOOD + part('Content-Disposition: form-data; name="a"; filename="a"; filename="b"', "x") + END,
  "a length that is too short":
    part('Content-Disposition: form-data; name="model"\r\nContent-Length: 3', "good") + END,
  "a length that is too long":
    part('Content-Disposition: form-data; name="a"\r\nContent-Length: 400', "x") + GOOD + END,
  "a length that is none":
    part('Content-Disposition: form-data; name="model"\r\nContent-Length: 0x4', "good") + END,
  "three empty lines behind it": `${GOOD}${END}\r\n\r\n`,
  "single quotes": part("Content-Disposition: form-data; name='model'", "good") + END,
  "an extended name": part("Content-Disposition: form-data; name*=utf-8''model", "good") + END,
  "two names": part('Content-Disposition: form-data; name="a"; name="model"', "evil") + GOOD + END,
  "a name behind an escape":
    GOOD + part('Content-Disposition: form-data; filename="a\\"; name="model"; x="', "evil") + END,
  "a folded line": part('Content-Disposition: form-data;\r\n name="model"', "good") + END,
  "two dispositions":
    part(
      'Content-Disposition: form-data; name="a"\r\nContent-Disposition: form-data; name="model"',
      "good",
    ) + END,
  "no disposition": GOOD + part("Content-Type: text/plain", "x") + END,
  "an attachment": part('Content-Disposition: attachment; name="model"', "good") + END,
  "a coded model":
    part(
      'Content-Disposition: form-data; name="model"\r\nContent-Transfer-Encoding: base64',
      "good",
    ) + END,
  "a coded part":
    GOOD +
    part(
      'Content-Disposition: form-data; name="a"\r\nContent-Transfer-Encoding: quoted-printable',
      "x",
    ) +
    END,
  "a model in UTF-16":
    part(
      'Content-Disposition: form-data; name="model"\r\nContent-Type: text/plain; charset=utf-16',
      "good",
    ) + END,
  "a form within":
    GOOD +
    part(
      'Content-Disposition: form-data; name="a"\r\nContent-Type: multipart/mixed; boundary=x',
      "x",
    ) +
    END,
  "an unknown part header":
    GOOD + part('Content-Disposition: form-data; name="a"\r\nX-A: b', "x") + END,
  "bare newlines": (GOOD + END).replaceAll("\r\n", "\n"),
  "a delimiter behind a bare newline":
    field("a", `x\n--${B}\nContent-Disposition: form-data`) + GOOD + END,
  "a delimiter within a line": field("a", `x--${B}`) + GOOD + END,
  "a delimiter that goes on": field("a", `x\r\n--${B}y`) + GOOD + END,
  "a delimiter with spaces": field("a", "x").replace(`--${B}\r`, `--${B} \r`) + GOOD + END,
  "a preamble": `x\r\n${GOOD}${END}`,
  "an empty line before": `\r\n${GOOD}${END}`,
  "an epilogue": `${GOOD}${END}x`,
  "a form behind it": GOOD + END + GOOD + END,
  "no end": GOOD,
  "an end cut short": `${GOOD}--${B}-`,
  "a part cut short": GOOD + field("a", "x").slice(0, -6),
  "a long model": field("model", "g".repeat(300)) + END,
  "a space behind it": field("model", "good ") + END,
  "a newline behind it": field("model", "good\r\n") + END,
  "an empty model": field("model", "") + END,
  "long headers":
    part(`Content-Disposition: form-data; name="a"; filename="${"x".repeat(5000)}"`, "x") +
    GOOD +
    END,
  JSON: '{"model":"good"}',
};

test("a form of which no model can be told for certain is unclear", () => {
  for (const [what, body] of Object.entries(UNCLEAR)) {
    assert.equal(verdict(body), "model_unclear", what);
  }
});

test("forms as clients write them are allowed, and another model is not", () => {
  const file = part(
    'content-disposition: form-data; name="file"; filename="r\xe9sum\xe9.mp3"; filename*=utf-8\'\'r%C3%A9.mp3\r\n' +
      "content-type: audio/mpeg\r\ncontent-transfer-encoding: binary",
    "\0\xff\r\n--\r\n-",
  );
  const bodies = [
    GOOD + END,
    GOOD + `--${B}--`,
    file + GOOD + END,
    GOOD + file + END,
    part(
      'Content-Disposition: form-data; name="model"\r\nContent-Type: text/plain; charset=utf-8',
      "good",
    ) + END,
    part('Content-Disposition: form-data;name="model"', "good") + END,
    GOOD + field("a", "x") + field("a", "y") + END,
    GOOD + field("timestamp_granularities[]", "word") + END,
  ];
  for (const body of bodies) assert.equal(verdict(body), "allowed", body);
  assert.equal(verdict(file + field("model", "evil") + END), "model_not_allowed");
  assert.equal(verdict(field("model", "Good") + END), "model_not_allowed");
});
