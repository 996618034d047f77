// Uploads by the official @google/genai package: it goes on at the URL that the first answer names.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { GoogleGenAI } from "@google/genai";
import { FAKE_KEY, openDataPlane } from "../support/data-plane.ts";
import { createHttpUpstream } from "../support/http-upstream.ts";
import { freePorts } from "../support/service.ts";

/** In two pieces: the package sends 8 MiB at a time. */
const FILE = Buffer.alloc(9 * 1024 * 1024, "0123456789abcdef");

test("a resumable upload of the Google Gen AI SDK goes through the proxy from its beginning to its end", async (t) => {
  const seen: string[] = [];
  const received = createHash("sha256");
  // As Google's, in what matters here: https://ai.google.dev/gemini-api/docs/files
  const upstream = await createHttpUpstream((request, response) => {
    const command = String(request.headers["x-goog-upload-command"]);
    seen.push(`${request.method} ${request.url} ${command}`);
    assert.equal(request.headers["x-goog-api-key"], FAKE_KEY);
    if (command === "start") {
      const session = `http://${request.headers.host}/upload/v1beta/files?upload_id=AbC-1&upload_protocol=resumable`;
      response.setHeader("X-Goog-Upload-URL", session);
      response.setHeader("X-Goog-Upload-Control-URL", session);
      response.setHeader("X-Goog-Upload-Status", "active");
    } else {
      request.on("data", (chunk: Buffer) => received.update(chunk));
    }
    request.on("end", () => {
      if (command.includes("finalize")) {
        response.setHeader("X-Goog-Upload-Status", "final");
        const uri = `${upstream.origin}/v1beta/files/abc`;
        response.end(JSON.stringify({ file: { name: "files/abc", uri, mimeType: "text/plain" } }));
        return;
      }
      if (command === "upload") response.setHeader("X-Goog-Upload-Status", "active");
      response.end("{}");
    });
    request.resume();
  });
  t.after(() => upstream.close());
  const [port = 0] = await freePorts(1);
  const plane = await openDataPlane(t, {
    env: { X3SPROXY_ORIGIN_GEMINI: upstream.origin, X3SPROXY_PROXY_ADDR: `127.0.0.1:${port}` },
  });
  await plane.save("gemini");
  const client = new GoogleGenAI({
    apiKey: await plane.deploy(),
    httpOptions: { baseUrl: `${plane.url}/gemini` },
  });
  const file = await client.files.upload({
    file: new Blob([FILE]),
    config: { mimeType: "text/plain" },
  });
  assert.equal(file.name, "files/abc");
  assert.equal(file.uri, `${upstream.origin}/v1beta/files/abc`, "bodies stay as they are");
  assert.equal(received.digest("hex"), createHash("sha256").update(FILE).digest("hex"));
  const session = "/upload/v1beta/files?upload_id=AbC-1&upload_protocol=resumable";
  assert.deepEqual(seen, [
    "POST /upload/v1/files start",
    `POST ${session} upload`,
    `POST ${session} upload, finalize`,
  ]);
});
