import assert from "node:assert/strict";
import { hash, randomInt } from "node:crypto";
import { it } from "node:test";
import {
  ContainerError,
  newIdentity,
  openStream,
  passphraseIdentity,
  SealedError,
  sealStream,
  type OpenBackup,
} from "../../src/backup/index.ts";
import { ConfigError } from "../../src/platform/errors.ts";
import { FAKE_KEY, openAdmin } from "../admin/fixture.ts";
import {
  backUp,
  createEmptyDatabase,
  isUntouched,
  opening,
  restoreTo,
  takeApart,
} from "./fixture.ts";

// Nobody listens there: whoever got as far as the database would fail with another error.
const NO_DATABASE = "postgres://nobody@127.0.0.1:1/none";

it("what is not a whole backup changes nothing", async (t) => {
  const admin = await openAdmin(t);
  await admin.call("PUT", "/api/v1/secrets", { provider: "openai", value: FAKE_KEY });
  await admin.call("POST", "/api/v1/agents/one/deployments", {});
  const { masterKey } = admin.database;
  const { sealed, identity } = await backUp(admin);
  const refused = (open: OpenBackup, kind: new (message: string) => Error, message: RegExp) =>
    assert.rejects(
      restoreTo(NO_DATABASE, open, { masterKey }),
      (error) => error instanceof kind && message.test(error.message),
    );
  /** The backup with its inside changed, sealed again. */
  const resealed = async (change: (text: string) => string): Promise<OpenBackup> => {
    const text = await textOf(opening(sealed, identity));
    const { identity: other, recipient } = await newIdentity();
    const stream = await sealStream(new Blob([change(text)]).stream(), { recipients: [recipient] });
    const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
    return opening(bytes, other);
  };

  await t.test("cut off anywhere", async () => {
    const headEnd = sealed.indexOf("\n---") + 4;
    const cuts = [0, 1, 21, 22, 40, headEnd, headEnd + 44, headEnd + 60, sealed.length - 17];
    const random = Array.from({ length: 30 }, () => randomInt(sealed.length));
    for (const length of [...cuts, ...random, sealed.length - 1]) {
      await refused(opening(sealed.subarray(0, length), identity), SealedError, /./);
    }
  });

  await t.test("one bit changed anywhere", async () => {
    const places = [0, 5, 25, 60, 150, sealed.length - 1];
    for (const at of [...places, ...Array.from({ length: 60 }, () => randomInt(sealed.length))]) {
      const changed = Buffer.from(sealed);
      changed[at] = (changed[at] ?? 0) ^ (1 << randomInt(8));
      await refused(opening(changed, identity), SealedError, /./);
    }
  });

  await t.test("cut off at a piece's end and sealed again: the trailer is missed", async () => {
    for (const keep of [0.2, 0.5, 0.9]) {
      const open = await resealed((text) => text.slice(0, Math.floor(text.length * keep)));
      await refused(open, ContainerError, /cut off|damaged|not a backup/);
    }
    const lineless = await resealed((text) =>
      text.slice(0, text.slice(0, -1).lastIndexOf("\n") + 1),
    );
    await refused(lineless, ContainerError, /its end is missing/);
  });

  await t.test("something changed inside, or added, and sealed again", async () => {
    await refused(
      await resealed((text) => text.replace("one\tproduction", "two\tproduction")),
      ContainerError,
      /damaged/,
    );
    await refused(
      await resealed((text) => `${text}x\n`),
      ContainerError,
      /behind the backup's end/,
    );
    await refused(
      await resealed((text) => text.replace('"rows":1', '"rows":2')),
      ContainerError,
      /damaged/,
    );
  });

  await t.test("another key or passphrase", async () => {
    const { identity: other } = await newIdentity();
    await refused(opening(sealed, other), SealedError, /another key or with another passphrase/);
    const open: OpenBackup = () =>
      openStream(pieces(sealed), { identities: [passphraseIdentity("FAKE wrong one")] });
    await refused(open, SealedError, /another key or with another passphrase/);
  });

  await t.test("not a backup at all", async () => {
    const random = Buffer.alloc(300_000, "no newline here ");
    await refused(opening(random, identity), SealedError, /not a file that age has sealed/);
    await refused(
      opening(Buffer.from("-----BEGIN AGE ENCRYPTED FILE-----\nabc"), identity),
      SealedError,
      /armor/,
    );
    await refused(
      await resealed(() => "something else\n"),
      ContainerError,
      /not a backup of x3sproxy/,
    );
    await refused(await resealed(() => ""), ContainerError, /not a backup of x3sproxy/);
  });

  await t.test("of a newer version, or of another schema", async () => {
    const withChanged = (change: (header: Json) => Json) => resealed(rehashed(withHeader(change)));
    const later = await withChanged((header) => ({ ...header, version: 2 }));
    await refused(later, ContainerError, /newer one/);
    const newer = { name: "9999_later.sql", sha256: "0".repeat(64) };
    const ahead = await withChanged((header) => ({
      ...header,
      migrations: [...header.migrations, newer],
    }));
    await refused(ahead, ContainerError, /newer x3sproxy .* 9999_later/);
    const other = await withChanged((header) => ({
      ...header,
      migrations: header.migrations.map((each, i) => (i === 3 ? { ...each, sha256: "x" } : each)),
    }));
    await refused(other, ContainerError, /differs at the migration 0004/);
  });

  await t.test("another master key", async () => {
    const other = Buffer.alloc(32, "other").toString("base64");
    await assert.rejects(
      restoreTo(NO_DATABASE, opening(sealed, identity), { masterKey: other }),
      (error) =>
        error instanceof ConfigError && /^wrong master key: the backup needs/.test(error.message),
    );
  });

  await t.test("rows that don't fit leave the database as it was", async (t) => {
    const url = await createEmptyDatabase(t);
    // Well-formed, but no workspace has this id.
    const { tables } = await takeApart(opening(sealed, identity));
    const row = tables.get("agents")?.[0] ?? "";
    const open = await resealed(
      rehashed((text) =>
        text.replace(row, row.replace(admin.workspaceId, "00000000-0000-4000-8000-000000000000")),
      ),
    );
    await assert.rejects(restoreTo(url, open, { masterKey }), ContainerError);
    assert.ok(await isUntouched(url));
    const odd = await resealed(
      rehashed((text) => text.replace(row, row.replace("production", "NOT AN ENVIRONMENT"))),
    );
    await assert.rejects(restoreTo(url, odd, { masterKey }), /don't fit into the table agents/);
    assert.ok(await isUntouched(url));
  });

  await t.test("breaking off while rows are written leaves the database as it was", async (t) => {
    const url = await createEmptyDatabase(t);
    let reads = 0;
    const open: OpenBackup = async function* () {
      reads++;
      for await (const piece of opening(sealed, identity)()) {
        yield piece.subarray(0, piece.length - 3000);
        if (reads === 2) throw new Error("the disk is gone");
        yield piece.subarray(piece.length - 3000);
      }
    };
    await assert.rejects(restoreTo(url, open, { masterKey }));
    assert.equal(reads, 2);
    assert.ok(await isUntouched(url));
  });

  await t.test("a database with something in it stays as it is", async () => {
    await assert.rejects(
      restoreTo(admin.database.ownerUrl, opening(sealed, identity), { masterKey }),
      (error) => error instanceof ConfigError && /the database is not empty/.test(error.message),
    );
    const [agents] = await admin.owner<[{ count: string }]>`select count(*) from x3sproxy.agents`;
    assert.equal(agents.count, "1");
  });
});

type Json = { version: number; migrations: { name: string; sha256: string }[] };

function withHeader(change: (header: Json) => Json): (text: string) => string {
  return (text) => {
    const end = text.indexOf("\n");
    return JSON.stringify(change(JSON.parse(text.slice(0, end)) as Json)) + text.slice(end);
  };
}

/** The trailer made again for what was changed. */
function rehashed(change: (text: string) => string): (text: string) => string {
  return (text) => {
    const end = text.slice(0, -1).lastIndexOf("\n") + 1;
    const trailer = JSON.parse(text.slice(end)) as { rows: number };
    const body = change(text.slice(0, end));
    assert.notEqual(body, text.slice(0, end));
    const sha256 = hash("sha256", body, "hex");
    return `${body}${JSON.stringify({ rows: trailer.rows, sha256 })}\n`;
  };
}

async function textOf(open: OpenBackup): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const piece of open()) parts.push(piece);
  return Buffer.concat(parts).toString("utf8");
}

async function* pieces(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield await Promise.resolve(bytes);
}
