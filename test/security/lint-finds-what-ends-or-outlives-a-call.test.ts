// The rules of lint that keep the next promise from ending the service, and the next transaction from outliving who asked for it.
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { test } from "node:test";
import { ESLint } from "eslint";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const FLOATING = "@typescript-eslint/no-floating-promises";

const TYPES = `
  import { once, type EventEmitter } from "node:events";
  import type { OwnerSql, TransactionSql } from "../db/index.ts";
  import { errorFields, logEnd, type Log } from "../log.ts";
  import type { PasswordHasher } from "./passwords.ts";
  declare const wire: EventEmitter;
  declare const log: Log;
  declare const passwords: PasswordHasher;
  declare const work: () => Promise<string>;
`;

/** By what they are found: undefined where nothing is wrong. */
const CASES: readonly (readonly [string, string | undefined])[] = [
  ["export const f = () => void work();", FLOATING],
  ["export function f(): void { void work(); }", FLOATING],
  ["export function f(): void { void work().finally(() => undefined); }", FLOATING],
  ["export function f(): void { work().then(() => undefined); }", FLOATING],
  ["export function f(): void { setInterval(() => void work(), 1); }", FLOATING],
  [`export function f(): void { logEnd(work(), log, "no work"); }`, undefined],
  ["export async function f() { const a = work(); await work(); await a; }", "house/heard-at-once"],
  [
    `export async function f() { const closed = once(wire, "close"); await once(wire, "end"); await closed.catch(() => undefined); }`,
    "house/heard-at-once",
  ],
  [
    "export async function f() { const a = work(), b = work(); await Promise.all([a, b]); }",
    undefined,
  ],
  [
    "export async function f() { const a = work(); a.catch(() => undefined); await work(); await a; }",
    undefined,
  ],
  [
    "export async function f() { const { promise, reject } = Promise.withResolvers<never>(); wire.on('error', reject); await work(); await promise; }",
    "house/heard-at-once",
  ],
  [
    "export async function f() { const late = Promise.withResolvers<string>(); wire.on('error', late.reject); await work(); await late.promise; }",
    "house/heard-at-once",
  ],
  [
    "export async function f() { const { promise, resolve } = Promise.withResolvers<string>(); wire.on('x', resolve); await work(); await promise; }",
    undefined,
  ],
  [
    "export const f = (sql: OwnerSql) => sql.begin(async (tx) => tx`select 1`);",
    "house/one-transaction",
  ],
  ["export const f = (sql: OwnerSql) => sql.reserve();", "house/one-transaction"],
  [
    "export const f = async (sql: TransactionSql) => sql`select ${await passwords.hash('fake')}`;",
    "house/no-hash-in-transaction",
  ],
  [
    "export const f = async (sql: TransactionSql) => { const g = () => passwords.verify('fake', 'fake'); await g(); return sql; };",
    "house/no-hash-in-transaction",
  ],
  ["export const f = () => passwords.hash('fake');", undefined],
];

test("each of their kind, and nothing beside it", async () => {
  const rules = new Set<string>(CASES.flatMap(([, rule]) => rule ?? []));
  const lint = new ESLint({ cwd: ROOT });
  // A line each, under names of their own: what costs time is to begin.
  const lines = CASES.map(([code], i) => code.replace(/\bf\b/, `f${i}`));
  const before = TYPES.split("\n").length;
  const [result] = await lint.lintText([TYPES, ...lines].join("\n"), {
    filePath: `${ROOT}/src/identity/emails.ts`,
  });
  const found = result?.messages.filter(({ ruleId }) => rules.has(ruleId ?? "")) ?? [];
  for (const [i, [code, expected]] of CASES.entries()) {
    const here = found.filter(({ line }) => line === before + i + 1);
    assert.deepEqual(
      [...new Set(here.map(({ ruleId }) => ruleId))],
      expected === undefined ? [] : [expected],
      code,
    );
  }
});

test("and no file of the service is left out but for those named here", async () => {
  const lint = new ESLint({ cwd: ROOT });
  const offIn = async (file: string): Promise<string[]> => {
    const { rules } = (await lint.calculateConfigForFile(`${ROOT}/${file}`)) as {
      rules: Record<string, [number, { ignoreVoid?: boolean }?]>;
    };
    return [
      ...["one-transaction", "no-hash-in-transaction", "heard-at-once"]
        .map((name) => `house/${name}`)
        .filter((name) => rules[name]?.[0] !== 2),
      ...(rules[FLOATING]?.[0] === 2 && rules[FLOATING][1]?.ignoreVoid === false ? [] : [FLOATING]),
    ];
  };
  assert.deepEqual(await offIn("src/main.ts"), []);
  assert.deepEqual(await offIn("src/proxy/request-handler.ts"), []);
  assert.deepEqual(await offIn("src/db/transactions.ts"), ["house/one-transaction"]);
});
