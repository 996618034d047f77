import assert from "node:assert/strict";
import { Console } from "node:console";
import { randomBytes } from "node:crypto";
import { Writable } from "node:stream";
import test from "node:test";
import { format, inspect } from "node:util";
import v8 from "node:v8";
import { createVault } from "../../src/vault/index.ts";
import { Derivation } from "../../src/vault/service-keys.ts";
import { FAKE_KEY, ringOf, ORIGIN, sealSample } from "../vault/fixture.ts";

const masterBytes = randomBytes(32);
const masterKeys = await ringOf(masterBytes.toString("base64"));
const derivation = new Derivation(Buffer.from(masterBytes));
const vault = await createVault(masterKeys, derivation);
const held = vault.hold(sealSample(vault));
const injection = vault.inject(held.release(), ORIGIN);
injection.applyTo([]);

function attempt(print: () => string): string {
  try {
    return print();
  } catch (error) {
    return inspect(error, { depth: Infinity, showHidden: true });
  }
}

function throughConsole(value: unknown): string {
  let written = "";
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      written += chunk.toString("latin1");
      done();
    },
  });
  const printer = new Console({ stdout: stream, stderr: stream });
  printer.log(value);
  printer.log("%o %O %s %j %d", value, value, value, value, value);
  printer.dir(value, { showHidden: true, depth: null });
  printer.table([value]);
  printer.error(value);
  printer.trace(value);
  return written;
}

function asText(value: unknown): string {
  return String(value);
}

function everyPrint(value: object): string {
  const wrapped = {
    value,
    list: [value],
    map: new Map([["value", value]]),
    error: new Error("x", { cause: value }),
  };
  return [value, wrapped]
    .flatMap((subject) => [
      attempt(() => JSON.stringify(subject)),
      attempt(() => asText(subject)),
      attempt(() => [subject as unknown].join()),
      attempt(() => Object.prototype.toString.call(subject)),
      attempt(() => (subject as { toLocaleString(): string }).toLocaleString()),
      attempt(() => inspect(subject, { depth: Infinity, showHidden: true, getters: true })),
      attempt(() =>
        inspect(subject, {
          depth: Infinity,
          showHidden: true,
          customInspect: false,
          showProxy: true,
        }),
      ),
      attempt(() => format("%s %o %O %j", subject, subject, subject, subject)),
      attempt(() => throughConsole(subject)),
      attempt(() => inspect(structuredClone(subject), { depth: Infinity })),
      attempt(() => v8.serialize(subject).toString("latin1")),
      attempt(() => inspect({ ...subject })),
      attempt(() => inspect(Object.getOwnPropertyDescriptors(subject), { depth: Infinity })),
      attempt(() =>
        inspect(new Error("x", { cause: subject }), { depth: Infinity, customInspect: false }),
      ),
    ])
    .join("\n");
}

function formsOf(bytes: Buffer): string[] {
  return [
    bytes.toString("latin1"),
    bytes.toString("base64").replace(/=+$/, ""),
    bytes.toString("base64url"),
    bytes.toString("hex"),
    encodeURIComponent(bytes.toString("latin1")),
    [...bytes].join(","),
    [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(" "),
    [...bytes].join(", "),
  ];
}

test("neither a held secret nor an injection shows the key, however it is printed", () => {
  for (const subject of [held, injection, vault]) {
    const printed = everyPrint(subject);
    for (const form of formsOf(Buffer.from(FAKE_KEY))) assert.ok(!printed.includes(form));
  }
});

test("neither the master key nor the vault shows the master key's bytes", () => {
  for (const subject of [masterKeys, masterKeys.active, derivation, vault, held]) {
    const printed = everyPrint(subject);
    for (const form of formsOf(masterBytes)) assert.ok(!printed.includes(form));
  }
});

test("what is printed says what it is", () => {
  assert.equal(inspect(held), "[sealed]");
  assert.equal(asText(held), "[sealed]");
  assert.equal(JSON.stringify({ held }), '{"held":"[sealed]"}');
  const { active } = masterKeys;
  assert.equal(inspect(active), `[master key ${active.id}]`);
  assert.equal(JSON.stringify(active), `"[master key ${active.id}]"`);
  assert.equal(inspect(masterKeys), `[master keys ${active.id}]`);
  assert.equal(JSON.stringify(masterKeys), `"[master keys ${active.id}]"`);
  assert.equal(inspect(derivation), "[derivation]");
  assert.equal(JSON.stringify(derivation), '"[derivation]"');
});

test("the search finds a key that does leak", () => {
  const leaking = everyPrint({ key: FAKE_KEY, bytes: Buffer.from(FAKE_KEY) });
  const found = formsOf(Buffer.from(FAKE_KEY)).filter((form) => leaking.includes(form));
  assert.ok(found.length >= 3, `${found.length} forms found`);
});
