// Whoever follows an upstream's URL as it came goes past the proxy with a token that is worth nothing there, or to a path of the
// proxy's that nobody serves.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { clientBase, withClientUrls, type Places } from "../../src/proxy/answer-urls.ts";
import { FAKE_KEY, openWithUpstream } from "../support/data-plane.ts";
import { createWireUpstream, head, openWireClient } from "../support/wire.ts";
import { inputs } from "../support/generated.ts";

const PUBLIC = "https://proxy.example.test/llm";
const FIELDS = [
  "Location",
  "Content-Location",
  "Operation-Location",
  "Azure-AsyncOperation",
  "X-Goog-Upload-URL",
  "X-Goog-Upload-Control-URL",
  "x_goog_upload_url",
];

describe("the upstream's own URLs lead through the proxy", () => {
  test("in each field, by path and by host name, in final and interim answers", async (t) => {
    let fields: string[] = [];
    const section = (): string => fields.map((field) => `${field}\r\n`).join("");
    const upstream = await createWireUpstream(({ socket }) => {
      socket.on("data", () => {
        socket.write(`HTTP/1.1 103 Early Hints\r\n${section()}\r\n`);
        socket.write(`HTTP/1.1 201 Created\r\n${section()}content-length: 2\r\n\r\nok`);
      });
    });
    t.after(() => upstream.close());
    const { origin, port } = upstream;
    const plane = await openWithUpstream(t, origin, { X3SPROXY_PUBLIC_URL: PUBLIC });
    const client = await openWireClient(plane.port);
    const ask = async (target: string, host: string) => {
      client.send(head(plane.token, target).replace("proxy.test", host));
      return [await client.answer(), await client.answer()];
    };
    const other = `http://127.0.0.1:${port + 1}/v1/x`;
    /** What comes, what a client gets that called by path, and by host name. */
    const byHost = "https://openai.proxy.example.test";
    const urls: [string, string, string][] = [
      [`${origin}/v1/x?a=b&c#d`, `${PUBLIC}/openai/v1/x?a=b&c#d`, `${byHost}/v1/x?a=b&c#d`],
      [origin, `${PUBLIC}/openai/`, `${byHost}/`],
      [`//127.0.0.1:${port}/v1/x`, `${PUBLIC}/openai/v1/x`, `${byHost}/v1/x`],
      [`HTTP://127.0.0.1:${port}/v1/x`, `${PUBLIC}/openai/v1/x`, `${byHost}/v1/x`],
      [`http://u:p@127.0.0.1:${port}/v1/x`, `${PUBLIC}/openai/v1/x`, `${byHost}/v1/x`],
      ["/v1/x?a=b", "/llm/openai/v1/x?a=b", "/v1/x?a=b"],
      ["y", "/llm/openai/v1/y", "/v1/y"],
      ["?a=b", "/llm/openai/v1/responses?a=b", "/v1/responses?a=b"],
      ["../../../../anthropic/v1/x", "/llm/openai/anthropic/v1/x", "/anthropic/v1/x"],
      ["/x?key=sk-FAKE&a=b&Api-Key=c", "/llm/openai/x?a=b", "/x?a=b"],
      [`/x/${FAKE_KEY}`, "", ""],
      ["/.//evil.example/x", "/llm/openai//evil.example/x", `${byHost}//evil.example/x`],
      [other, other, other],
      ["https://other.example/v1/x", "https://other.example/v1/x", "https://other.example/v1/x"],
      ["mailto:a@b.example", "mailto:a@b.example", "mailto:a@b.example"],
    ];
    for (const [comes, path, host] of urls) {
      fields = FIELDS.map((name) => `${name}: ${comes}`);
      fields.push(`Link: <${comes}>; rel="next"; title="a, <b>", <https://o.example/>; rel=x`);
      fields.push(`Refresh: 5; url=${comes}`);
      for (const [target, authority, expected] of [
        ["/openai/v1/responses", "proxy.example.test", path],
        ["/v1/responses", "openai.proxy.example.test", host],
        ["http://openai.proxy.example.test/v1/responses", "x", host],
      ] as const) {
        for (const answer of await ask(target, authority)) {
          for (const name of FIELDS) {
            const what = `${answer.status} ${name}: ${comes} at ${target}`;
            assert.equal(answer.header(name.toLowerCase()) ?? "", expected, what);
          }
          const link = answer.header("link") ?? "";
          if (expected === "") assert.equal(link, "");
          else {
            assert.equal(
              link,
              `<${expected}>; rel="next"; title="a, <b>", <https://o.example/>; rel=x`,
            );
            assert.equal(answer.header("refresh"), `5; url=${expected}`);
          }
          if (answer.status === 201) assert.equal(answer.body, "ok", "bodies stay as they are");
        }
      }
    }
  });

  const places: Places = {
    origin: "https://api.example.test",
    target: "/v1/a/b?c",
    base: `${PUBLIC}/openai`,
    reflectsKey: () => false,
  };
  test("whatever a URL looks like: it leads to the same place through the proxy, or stays what it was", () => {
    const piece = fc.constantFrom(
      ...["/", "//", "\\", "..", ".", "?", "#", "@", ":", "%2f", "%2e", "a", "é", "\t", " "],
      ...["https:", "http:", "api.example.test", "API.EXAMPLE.TEST:443", "evil.test", "llm"],
      ...["openai", "x=y", "&", ";", "key=sk-FAKE", "<", ">", '"', ",", "[::1]", "blob:", "u:p@"],
    );
    fc.assert(
      fc.property(
        fc.array(piece, { maxLength: 10 }).map((pieces) => pieces.join("")),
        fc.boolean(),
        (url, isByHost) => {
          const base = isByHost ? "https://openai.proxy.example.test" : places.base;
          const [, now = ""] = withClientUrls(["location", url], { ...places, base });
          const meant = URL.parse(url.replaceAll("é", "%E9"), places.origin + places.target);
          const isOwn = meant !== null && `${meant.protocol}//${meant.host}` === places.origin;
          if (!isOwn) {
            assert.equal(now, url);
            return;
          }
          const got = new URL(now, `${base}/v1/a/b?c`);
          assert.ok(got.href.startsWith(`${base}/`), `${url} became ${now}`);
          const prefix = isByHost ? "" : "/llm/openai";
          assert.equal(got.pathname, prefix + meant.pathname, url);
          assert.equal(got.username + got.password, "");
          assert.doesNotMatch(got.search, /(?:^\?|[&;])key=/, url);
          assert.match(now, /^[\x21-\x7e]*$/, "ASCII, in one line");
        },
      ),
      inputs(20_261_130, 20_000),
    );
  });

  test("a list of thousands costs little, and is left out", () => {
    for (const value of [
      "</a>,".repeat(13_000),
      '"'.repeat(65_000),
      '"\\'.repeat(32_000),
      "<".repeat(65_000),
      "</a>".repeat(50) + '"'.repeat(60_000),
    ]) {
      for (const name of ["link", "refresh", "location"]) {
        const startMs = performance.now();
        withClientUrls([name, value], places);
        assert.ok(performance.now() - startMs < 50, `${name}: ${value.slice(0, 10)}`);
      }
    }
    assert.deepEqual(withClientUrls(["link", "</a>,".repeat(101), "x-a", "b"], places), [
      "x-a",
      "b",
    ]);
    assert.equal(withClientUrls(["link", "</a>,".repeat(100)], places).length, 2);
  });

  test("how the client called is told by what of its path went up", () => {
    for (const [requested, path, base] of [
      ["/openai/v1/x", "/v1/x", `${PUBLIC}/openai`],
      ["/openai", "/", `${PUBLIC}/openai`],
      ["/openai/openai/x", "/openai/x", `${PUBLIC}/openai`],
      ["/openai/v1/x?y=/v1/x", "/v1/x", `${PUBLIC}/openai`],
      ["/v1/x?y", "/v1/x", "https://openai.proxy.example.test"],
      ["http://openai.proxy.example.test", "/", "https://openai.proxy.example.test"],
      [
        "http://openai.proxy.example.test/openai/x",
        "/openai/x",
        "https://openai.proxy.example.test",
      ],
      ["http://proxy.example.test/openai/x", "/x", `${PUBLIC}/openai`],
    ] as const) {
      assert.equal(clientBase(PUBLIC, "openai", requested, path), base, requested);
    }
  });
});
