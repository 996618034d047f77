import assert from "node:assert/strict";
import { test } from "node:test";
import { JsonReader } from "../../src/proxy/json-reader.ts";
import type { Sought } from "../../src/proxy/model-judge.ts";
import { placeOf, soughtAt, soughtOf } from "../support/sought.ts";

const allows = (model: string): boolean => model === "good" || model.startsWith("g-");

function verdict(body: string | Buffer, sought: Sought = soughtOf(allows)): string {
  const reader = new JsonReader(sought);
  const bytes = typeof body === "string" ? Buffer.from(body) : body;
  return reader.take(bytes) ?? reader.end() ?? "allowed";
}

const DEEP = 600;

/** Each of them is read in another way by some parser, or not at all. */
const UNCLEAR: Record<string, string | Buffer> = {
  "no body": "",
  "white space": "  \n",
  "an array": '[{"model":"good"}]',
  "a string": '"model"',
  "no model": '{"input":"x"}',
  "a nested model only": '{"input":{"model":"good"}}',
  "a second model": '{"model":"good","model":"good"}',
  "a second model, other": '{"model":"good","input":1,"model":"evil"}',
  "a second one with escapes": '{"model":"good","mod\\u0065l":"evil"}',
  "an escaped name": '{"\\u006dodel":"good"}',
  "all of the name escaped": '{"model":"good","\\u006d\\u006f\\u0064\\u0065\\u006c":"evil"}',
  "another case": '{"model":"good","Model":"evil"}',
  "capitals alone": '{"MODEL":"good"}',
  "look-alike letters": '{"model":"good","ｍｏｄｅｌ":"evil"}',
  "a separator in it": '{"model":"good","mo_del":"evil"}',
  "an escaped letter beyond ASCII": '{"model":"g-\\u00e9"}',
  "an escaped space": '{"model":"good\\u0020"}',
  "half a surrogate": '{"model":"g-\\ud83d"}',
  "an escaped name of its own": '{"\\u006dodel":"good","model":"good"}',
  "a model that is null": '{"model":null}',
  "a model that is an object": '{"model":{"id":"good"}}',
  "a model that is a list": '{"model":["good"]}',
  "a model that is a number": '{"model":1}',
  "an empty model": '{"model":""}',
  "a space before it": '{"model":" good"}',
  "a space behind it": '{"model":"g-x "}',
  "letters beyond ASCII": '{"model":"g-é"}',
  "a NUL in the model": '{"model":"good\0"}',
  "an escaped NUL": '{"model":"good\\u0000"}',
  "a long model": `{"model":"g-${"x".repeat(300)}"}`,
  "a preset": '{"model":"g-x@preset/other"}',
  "a comment before": '/* x */{"model":"good"}',
  "a comment within": '{/**/"model":"good"}',
  "a line comment": '{"model":"good"} // x',
  "a trailing comma": '{"model":"good",}',
  "a trailing comma in a list": '{"model":"good","a":[1,]}',
  "a leading comma": '{,"model":"good"}',
  "single quotes": "{'model':'good'}",
  "no quotes": '{model:"good"}',
  NaN: '{"model":"good","a":NaN}',
  Infinity: '{"model":"good","a":-Infinity}',
  "a leading zero": '{"model":"good","a":01}',
  "a plus sign": '{"model":"good","a":+1}',
  "a bare point": '{"model":"good","a":.5}',
  "an end point": '{"model":"good","a":5.}',
  "a hex number": '{"model":"good","a":0x1}',
  "half an exponent": '{"model":"good","a":1e}',
  True: '{"model":"good","a":True}',
  "two words": '{"model":"good","a":nulll}',
  "a bad escape": '{"model":"good","a":"\\x41"}',
  "a short escape": '{"model":"good","a":"\\u00"}',
  "a raw newline in a string": '{"model":"good","a":"\n"}',
  "a raw tab in a string": '{"model":"good","a":"\t"}',
  "a raw NUL": '{"model":"good","a":"\0"}',
  "a NUL behind it": '{"model":"good"}\0',
  "a vertical tab": '{"model":"good"\v}',
  "a no-break space": '{"model":"good"\u00a0}',
  "two documents": '{"model":"good"}{"model":"evil"}',
  "two documents, a line each": '{"model":"good"}\n{"model":"evil"}',
  "a record separator": '\x1e{"model":"good"}',
  "an XSSI prefix": ')]}\'\n{"model":"good"}',
  "a byte order mark": '\ufeff{"model":"good"}',
  "UTF-16": Buffer.from('{"model":"good"}', "utf16le"),
  "UTF-16 with its mark": Buffer.from('\ufeff{"model":"good"}', "utf16le"),
  "bytes that are no UTF-8": Buffer.from('{"model":"good","a":"\xff"}', "latin1"),
  "an overlong letter": Buffer.from('{"model":"good","mode\xc1\xac":"evil"}', "latin1"),
  "a cut character": Buffer.from('{"model":"good"}\xe2\x82', "latin1"),
  "a cut document": '{"model":"good","input":"x',
  "a document without its end": '{"model":"good"',
  "the wrong end": '{"model":"good"]',
  "ends in the wrong order": '{"model":"good","a":[{]}}',
  "one end too many": '{"model":"good"}}',
  "too deep": `{"model":"good","a":${"[".repeat(DEEP)}${"]".repeat(DEEP)}}`,
  "too deep in objects": `{"model":"good","a":${'{"a":'.repeat(DEEP)}1${"}".repeat(DEEP)}}`,
  "no colon": '{"model" "good"}',
  "two colons": '{"model"::"good"}',
  "no comma": '{"model":"good" "a":1}',
  "a number for a name": '{1:2,"model":"good"}',
  "a form": "model=good",
  "a form in JSON": '{"a":"&model=evil&"',
};

test("a body of which no model can be told for certain is unclear", () => {
  for (const [what, body] of Object.entries(UNCLEAR)) {
    assert.equal(verdict(body), "model_unclear", what);
  }
});

test("what only looks odd is allowed", () => {
  const bodies = [
    ' \r\n\t{ "model" : "good" } \n',
    '{"model":"good","messages":[{"model":"evil","role":"user"}]}',
    '{"input":{"model":"evil","model":"evil"},"model":"good"}',
    '{"model":"good","a":"\\"model\\":\\"evil\\"}{"}',
    '{"a":"\\\\","model":"good"}',
    `{"${"x".repeat(5000)}":1,"model":"good"}`,
    `{"model":"good","a":"${"x".repeat(300_000)}"}`,
    `{"model":"good","a":${"[".repeat(400)}${"]".repeat(400)}}`,
    '{"model":"good","a":[0,-0,1.5e+10,1E-2,true,false,null,{},[],""]}',
    '{"model":"good","a":"\\ud83d\\ude00😀é"}',
    '{"":1,"model":"good"}',
    '{"model":"good","modelling":1,"remodel":2,"model2":3}',
    // Every parser agrees on what these say.
    '{"model":"g\\u006fod"}',
    '{"model":"g-\\/x"}',
    `{"model":"${Buffer.from("good").toString("hex").replace(/../g, "\\u00$&")}"}`,
  ];
  for (const body of bodies) assert.equal(verdict(body), "allowed", body.slice(0, 80));
});

test("a clear model that is not on the list is not allowed", () => {
  for (const body of [
    '{"model":"evil"}',
    '{"model":"GOOD"}',
    '{"model":"goo"}',
    '{"model":"goodx"',
  ]) {
    assert.equal(verdict(body), "model_not_allowed", body);
  }
});

test("a member that chooses models in another way makes it unclear", () => {
  const rivals = ["models", "compound_custom"];
  for (const name of ["models", "Models", "m\\u006fdels", "compound_custom", "compoundCustom"]) {
    const body = `{"model":"good","${name}":["evil"]}`;
    const sought = soughtOf(allows, rivals);
    assert.equal(verdict(body, sought), "model_unclear", name);
    assert.equal(verdict(`{"model":"good","a":{"${name}":1}}`, sought), "allowed", name);
  }
});

test("a tool with a model of its own is held to the list, a tool's argument of that name isn't", () => {
  const sought = soughtAt(placeOf("in-house", "/v1/any"), allows);
  const refused = [
    '{"model":"good","tools":[{"type":"advisor_20260301","name":"advisor","model":"evil"}]}',
    '{"tools":[{"type":"image_generation","model":"evil"}],"model":"good"}',
    '{"model":"good","tools":[{"type":"x:ask","parameters":{"model":"evil"}}]}',
    '{"model":"good","tools":[{"type":"x","m\\u006fdel":"evil"}]}',
    '{"model":"good","t\\u006fols":[{"type":"x","model":"evil"}]}',
    '{"model":"good","tool\u017f":[{"type":"x","model":"evil"}]}',
    '{"model":"good","input":[{"tool\u017f":[{"type":"x","model":"evil"}]}]}',
    '{"model":"good","Tools":[{"type":"x","Model":"evil"}]}',
    '{"model":"good","input":[{"type":"additional_tools","tools":[{"type":"x","model":"evil"}]}]}',
    '{"model":"good","messages":[{"content":[{"tool":{"type":"tool_definition","definition":{"type":"advisor","model":"evil"}}}]}]}',
  ];
  for (const body of refused) {
    assert.match(verdict(body, sought), /^model_(?:unclear|not_allowed)$/, body);
  }
  const schema = '{"type":"object","properties":{"model":{"type":"string"}}}';
  const clear = [
    `{"model":"good","tools":[{"name":"Task","input_schema":${schema}}]}`,
    `{"model":"good","tools":[{"type":"function","name":"Task","parameters":${schema}}]}`,
    `{"model":"good","tools":[{"type":"function","function":{"name":"Task","parameters":${schema}}}]}`,
    '{"model":"good","messages":[{"content":[{"type":"tool_use","input":{"model":"opus"}}]}]}',
    '{"tools":[{"name":"a"}],"model":"good"}',
    '{"model":"good","tools":[]}',
  ];
  for (const body of clear) assert.equal(verdict(body, sought), "allowed", body);
});
