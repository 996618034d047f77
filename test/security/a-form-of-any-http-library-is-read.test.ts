// Forms as HTTP libraries write them, byte for byte: each names its model clearly, and another model in it is refused.
import assert from "node:assert/strict";
import { test } from "node:test";
import { openTarget } from "../support/attack.ts";

const AUDIO = "ID3\x04\x00\xff";

const lines = (...text: string[]): string => text.join("\r\n");

/** By library: the boundary and the body with a model. */
const FORMS: Record<string, readonly [boundary: string, form: (model: string) => string]> = {
  // System.Net.Http.MultipartFormDataContent: no quotes, and the charset first.
  ".NET": [
    '"6c4b0b0e-5a1c-4f0e-9d1d-1f4b5d0a7c11"',
    (model) =>
      lines(
        "--6c4b0b0e-5a1c-4f0e-9d1d-1f4b5d0a7c11",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Disposition: form-data; name=model",
        "",
        model,
        "--6c4b0b0e-5a1c-4f0e-9d1d-1f4b5d0a7c11",
        "Content-Disposition: form-data; name=file; filename=audio.mp3; filename*=utf-8''audio.mp3",
        "",
        AUDIO,
        "--6c4b0b0e-5a1c-4f0e-9d1d-1f4b5d0a7c11--",
        "",
      ),
  ],
  OkHttp: [
    "2b0e7f5e-8f7a-4b6b-a1d7-4d3a3a8f1d0c",
    (model) =>
      lines(
        "--2b0e7f5e-8f7a-4b6b-a1d7-4d3a3a8f1d0c",
        'Content-Disposition: form-data; name="model"',
        `Content-Length: ${model.length}`,
        "",
        model,
        "--2b0e7f5e-8f7a-4b6b-a1d7-4d3a3a8f1d0c",
        'Content-Disposition: form-data; name="file"; filename="audio.mp3"',
        "Content-Type: audio/mpeg",
        `Content-Length: ${AUDIO.length}`,
        "",
        AUDIO,
        "--2b0e7f5e-8f7a-4b6b-a1d7-4d3a3a8f1d0c--",
        "",
      ),
  ],
  // Retrofit's @Part.
  Retrofit: [
    "2b0e7f5e",
    (model) =>
      lines(
        "--2b0e7f5e",
        'Content-Disposition: form-data; name="model"',
        "Content-Transfer-Encoding: binary",
        "Content-Type: text/plain; charset=UTF-8",
        `Content-Length: ${model.length}`,
        "",
        model,
        "--2b0e7f5e--",
        "",
      ),
  ],
  Guzzle: [
    "a3f1c2d4e5b6978812345678901234567890abcd",
    (model) =>
      lines(
        "--a3f1c2d4e5b6978812345678901234567890abcd",
        'Content-Disposition: form-data; name="file"; filename="audio.mp3"',
        `Content-Length: ${AUDIO.length}`,
        "Content-Type: audio/mpeg",
        "",
        AUDIO,
        "--a3f1c2d4e5b6978812345678901234567890abcd",
        'Content-Disposition: form-data; name="model"',
        `Content-Length: ${model.length}`,
        "",
        model,
        "--a3f1c2d4e5b6978812345678901234567890abcd--",
        "",
      ),
  ],
  // multipart-post, on which Faraday stands.
  Ruby: [
    "-----------RubyMultipartPost-0d5a8a2f",
    (model) =>
      lines(
        "-------------RubyMultipartPost-0d5a8a2f",
        'Content-Disposition: form-data; name="model"',
        "",
        model,
        "-------------RubyMultipartPost-0d5a8a2f",
        'Content-Disposition: form-data; name="file"; filename="audio.mp3"',
        `Content-Length: ${AUDIO.length}`,
        "Content-Type: audio/mpeg",
        "Content-Transfer-Encoding: binary",
        "",
        AUDIO,
        "-------------RubyMultipartPost-0d5a8a2f--",
        "",
        "",
      ),
  ],
  "Apache HttpClient": [
    "Zm9vYmFyYmF6cXV4",
    (model) =>
      lines(
        "--Zm9vYmFyYmF6cXV4",
        'Content-Disposition: form-data; name="model"',
        "Content-Type: text/plain; charset=ISO-8859-1",
        "Content-Transfer-Encoding: 8bit",
        "",
        model,
        "--Zm9vYmFyYmF6cXV4--",
        "",
      ),
  ],
  "file name before name": [
    "B",
    (model) =>
      lines(
        "--B",
        'content-disposition: form-data; filename*=UTF-8\'en\'r%C3%A9.mp3; filename="r.mp3"; name="file"',
        "",
        AUDIO,
        "--B",
        'CONTENT-DISPOSITION: Form-Data; NAME="model"',
        "",
        model,
        "--B--",
      ),
  ],
};

test("each library's form names its model", async (t) => {
  const { plane, ask, sent } = await openTarget(t);
  const token = await plane.deploy("listed", { models: ["whisper-1"] });
  const outcome = async (boundary: string, body: string): Promise<string | number> => {
    const head = [
      "POST /openai/v1/audio/transcriptions HTTP/1.1",
      `Authorization: Bearer ${token}`,
      `Content-Type: multipart/form-data; boundary=${boundary}`,
      `Content-Length: ${body.length}`,
    ];
    const answer = await ask(head, body);
    return answer.header("x3sproxy-refusal") ?? answer.status;
  };
  for (const [library, [boundary, form]] of Object.entries(FORMS)) {
    assert.equal(await outcome(boundary, form("whisper-1")), 200, library);
    sent();
    assert.equal(await outcome(boundary, form("whisper-2")), "model_not_allowed", library);
    assert.equal(await outcome(boundary, form("whisper-1 ")), "model_unclear", library);
    assert.equal(sent(), "", library);
  }
});
