import assert from "node:assert/strict";
import { createHmac, hash, randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import { openClient, withOwner } from "../../src/db/connection.ts";
import { createPool, prepareLogins } from "../../src/db/index.ts";
import { scramVerifier } from "../../src/db/logins.ts";
import { ConfigError, StoreUnavailableError } from "../../src/platform/errors.ts";
import {
  createTestDatabase,
  serverUrl,
  urlOfDatabase,
  type TestDatabase,
} from "../support/database.ts";

let database: TestDatabase;
before(async () => {
  database = await createTestDatabase();
});
after(() => database.drop());

test("the verifier is that of RFC 7677's example", () => {
  const verifier = scramVerifier("pencil", Buffer.from("W22ZaJ0SNY7soEsUEjb6gQ==", "base64"));
  const [scheme, salted, keys] = verifier.split("$");
  assert.deepEqual([scheme, salted], ["SCRAM-SHA-256", "4096:W22ZaJ0SNY7soEsUEjb6gQ=="]);
  const [storedKey, serverKey] = (keys ?? "").split(":").map((key) => Buffer.from(key, "base64"));
  assert.ok(storedKey !== undefined && serverKey !== undefined);
  // Section 3: the messages of the exchange without the proof, the proof, and the server's answer.
  const nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
  const messages =
    "n=user,r=rOprNGfwEbeRWgbNEkqO," +
    `r=${nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=${nonce}`;
  const proof = Buffer.from("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", "base64");
  const signed = (key: Buffer): Buffer => createHmac("sha256", key).update(messages).digest();
  const clientKey = signed(storedKey).map((byte, i) => byte ^ (proof[i] ?? 0));
  assert.deepEqual(hash("sha256", clientKey, "buffer"), storedKey);
  assert.equal(
    signed(serverKey).toString("base64"),
    "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
  );
});

test("a new password works and the old one stops working", async () => {
  const { proxyUrl } = await prepareLogins(database.ownerUrl, (role) => `fake-new-${role}`);
  const pool = createPool(proxyUrl);
  const [row] = await pool.query((sql) => sql`select current_user as "user"`);
  assert.match(String(row?.["user"]), /^x3sproxy_proxy_[0-9a-f]{8}$/);
  await pool.close();
  const old = createPool(database.proxyUrl);
  await assert.rejects(
    old.query((sql) => sql`select 1`),
    StoreUnavailableError,
  );
  await old.close();
});

test("the URL keeps host, port, database and parameters, and escapes what it must", async () => {
  const owner = `${database.ownerUrl}?sslmode=disable&application_name=mine`;
  const { controlUrl } = await prepareLogins(owner, () => "fake@/:?#%&");
  const [given, made] = [new URL(owner), new URL(controlUrl)];
  assert.equal(made.host + made.pathname + made.search, given.host + given.pathname + given.search);
  assert.equal(decodeURIComponent(made.password), "fake@/:?#%&");
  await withOwner(controlUrl, (sql) => sql`select 1`);
});

test("a login of one database can't connect to another", async () => {
  const other = await createTestDatabase();
  const { pathname } = new URL(other.ownerUrl);
  const client = openClient(urlOfDatabase(other.controlUrl, pathname.slice(1)), {
    max: 1,
    statementTimeoutMs: 0,
  });
  await client.sql`select 1`;
  client.destroy();
  const otherDatabase = openClient(urlOfDatabase(database.controlUrl, pathname.slice(1)), {
    max: 1,
    statementTimeoutMs: 0,
  });
  await prepareLogins(database.ownerUrl, (role) => `fake-${role}-password`);
  await assert.rejects(otherDatabase.sql`select 1`, {
    code: "42501",
    message: /permission denied for database/,
  });
  otherDatabase.destroy();
  await other.drop();
});

test("an owner who may not make roles is told what an administrator has to run", async () => {
  const [user, name] = [
    `app_${randomBytes(4).toString("hex")}`,
    `app_${randomBytes(4).toString("hex")}`,
  ];
  await withOwner(serverUrl(), async (sql) => {
    await sql.unsafe(`create role ${user} login password 'fake'`);
    await sql.unsafe(`create database ${name} owner ${user} template x3sproxy_template`);
  });
  const ownerUrl = Object.assign(new URL(urlOfDatabase(serverUrl(), name)), {
    username: user,
    password: "fake",
  }).href;
  try {
    const advice = await prepareLogins(ownerUrl, () => "fake").then(
      () => assert.fail("was allowed"),
      (error: unknown) => error,
    );
    assert.ok(advice instanceof ConfigError, String(advice));
    const statements = /run: (.*)$/.exec(advice.message)?.[1];
    assert.ok(statements !== undefined, advice.message);
    await withOwner(serverUrl(), (sql) => sql.unsafe(statements));
    const { controlUrl, proxyUrl } = await prepareLogins(ownerUrl, () => "fake");
    await prepareLogins(ownerUrl, () => "fake");
    await withOwner(controlUrl, (sql) => sql`select 1`);
    await withOwner(serverUrl(), async (sql) => {
      await sql.unsafe(`drop database ${name} with (force)`);
      for (const url of [controlUrl, proxyUrl])
        await sql.unsafe(`drop role ${new URL(url).username}`);
    });
  } finally {
    await withOwner(serverUrl(), async (sql) => {
      await sql.unsafe(`drop database if exists ${name} with (force)`);
      await sql.unsafe(`drop owned by ${user}`);
      await sql.unsafe(`drop role ${user}`);
    });
  }
});
