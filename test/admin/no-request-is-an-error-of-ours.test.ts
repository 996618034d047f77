import assert from "node:assert/strict";
import { Agent, request } from "node:http";
import { it } from "node:test";
import fc from "fast-check";
import type { OpenApiDocument } from "../../src/admin/openapi.ts";
import {
  createJudge,
  fill,
  requestsOf,
  type ApiAnswer,
  type ApiRequest,
} from "../support/api-requests.ts";
import { inputs } from "../support/generated.ts";
import { FAKE_KEY, stringAt, type Answer } from "./fixture.ts";
import { newAddress, openPeople, OWNER_EMAIL } from "./people.ts";

// Keys are tested by calls to their providers.
const NOWHERE = "https://127.0.0.1:9";
const REQUESTS = 800;

it("whatever is sent as owner, as viewer, as a person and as nobody: no answer is a 5xx, none is outside of the document", async (t) => {
  const { first, call, url, addKey, apiKey, log } = await openPeople(t, {
    origins: { openai: NOWHERE },
  });
  const viewer = await addKey("viewer");
  const known = new Map([
    ["agents", "known"],
    ["environments", "production"],
    ["providers", "known"],
    ["audit", "1"],
  ]);
  const make = async (
    part: string,
    method: string,
    path: string,
    body: object,
    ...at: string[]
  ): Promise<void> => {
    const made = await call(method, `/api/v1/${path}`, body);
    if (made.status < 300 && at.length > 0) known.set(part, stringAt(made, ...at));
  };
  // Again after each deletion: what was deleted is not there for the requests after it.
  const makeAll = async (): Promise<void> => {
    const secret = { provider: "openai", value: FAKE_KEY };
    const name = "known";
    await make("agents", "POST", "agents/known/deployments", {});
    await make("providers", "PUT", "providers/known", { origin: NOWHERE });
    await make("secrets", "PUT", "secrets", secret, "secret", "id");
    await make("registrations", "POST", "agents/known/registrations", {}, "registration", "id");
    await make("leases", "POST", "agents/known/leases", {}, "lease", "id");
    await make("api-keys", "POST", "api-keys", { name, role: "viewer" }, "apiKey", "id");
    const email = "known@example.test";
    await make("invitations", "POST", "invitations", { email, role: "admin" }, "invitation", "id");
  };
  await call("PATCH", "/api/v1/workspace", { name: "home" });
  await make("workspaces", "POST", "workspaces", { name: "other" }, "workspace", "id");
  const users = await call("GET", "/api/v1/users");
  known.set("users", (users.body as { users: { id: string }[] }).users[0]?.id ?? "");
  await makeAll();
  const answered = await call("GET", "/api/v1/openapi.json", undefined, null);
  const document = JSON.parse(answered.text) as OpenApiDocument;
  const judge = createJudge(document);
  const agent = new Agent({ keepAlive: true });
  t.after(() => agent.destroy());

  const send = (made: ApiRequest, key: string | null) =>
    new Promise<ApiAnswer>((resolve, reject) => {
      const headers = {
        ...made.headers,
        "x-forwarded-for": newAddress(),
        ...(key !== null && { authorization: `Bearer ${key}` }),
      };
      const to = `${url}/api/v1${fill(made.path, known)}`;
      const sent = request(to, { agent, method: made.method, headers }, (response) => {
        const { statusCode: status = 0 } = response;
        const type = response.headers["content-type"] ?? "";
        response
          .toArray()
          .then(
            (chunks: Buffer[]) => resolve({ status, type, text: Buffer.concat(chunks).toString() }),
            reject,
          );
      });
      sent.once("error", reject);
      sent.end(made.body);
    });
  const asPerson = async ({ method, path, body }: ApiRequest): Promise<ApiAnswer> => {
    const ask = (): Promise<Answer> => first.call(method, fill(path, known), readJson(body));
    const answer = await ask();
    const isOut = answer.body["code"] === "unauthenticated";
    if (isOut) await first.signIn(OWNER_EMAIL);
    const { status, text, headers } = isOut ? await ask() : answer;
    return { status, text, type: headers.get("content-type") ?? "" };
  };

  const successes = new Set<string>();
  await fc.assert(
    fc.asyncProperty(
      requestsOf(document),
      fc.constantFrom("owner", "owner", "owner", "viewer", "nobody"),
      async (made, as) => {
        const { security, operationId } = made.operation;
        const isForPeople = security.length > 0 && security.every((way) => !("apiKey" in way));
        const key = as === "owner" ? apiKey : as === "viewer" ? viewer : null;
        const answer = isForPeople && as === "owner" ? await asPerson(made) : await send(made, key);
        const what = `${as}: ${made.method} ${fill(made.path, known)}: ${answer.status} ${answer.text}`;
        assert.ok(answer.status < 500, `${what}\n${log.at(-2) ?? ""}`);
        assert.equal(judge(made.operation, answer), undefined, what);
        if (answer.status < 300) successes.add(operationId);
        if (made.method === "DELETE" && answer.status < 300) await makeAll();
      },
    ),
    inputs(20_261_130, REQUESTS),
  );
  // Else it would say little: most of them got as far as to be done.
  const operations = Object.values(document.paths).flatMap((methods) => Object.values(methods));
  const missed = operations
    .map(({ operationId }) => operationId)
    .filter((each) => !successes.has(each));
  assert.ok(missed.length < operations.length / 3, missed.join(", "));
});

function readJson(text: string | undefined): unknown {
  try {
    return text === undefined ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}
