import assert from "node:assert/strict";
import { METHODS, request } from "node:http";
import { it } from "node:test";
import { openAdmin } from "./fixture.ts";

const OURS = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]);

it("each method that Node reads, with a body and without, is answered as a mistake of the caller's", async (t) => {
  const { url, apiKey, log } = await openAdmin(t);
  const ask = (method: string, path: string, body: string): Promise<number> =>
    new Promise((resolve, reject) => {
      const headers = {
        authorization: `Bearer ${apiKey}`,
        ...(body !== "" && { "content-length": body.length }),
      };
      const sent = request(url + path, { method, headers }, (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      });
      sent.once("error", reject);
      sent.end(body);
    });
  // CONNECT asks for a tunnel, and is no request of a path.
  for (const method of METHODS.filter((each) => !OURS.has(each) && each !== "CONNECT")) {
    for (const path of ["/api/v1/agents", "/api/v1/secrets", "/", "/nothing"]) {
      for (const body of ["", "{}"]) {
        const status = await ask(method, path, body);
        assert.ok([400, 404, 415].includes(status), `${method} ${path} ${body}: ${status}`);
      }
    }
  }
  assert.deepEqual(
    log.filter((line) => line.includes('"level":50')),
    [],
  );
});
