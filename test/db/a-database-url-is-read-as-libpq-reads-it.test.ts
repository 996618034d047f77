import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { isLocal, readDatabaseUrl } from "../../src/db/index.ts";
import { withUser } from "../../src/db/database-url.ts";
import { ConfigError } from "../../src/platform/errors.ts";
import { inputs } from "../support/generated.ts";

const PASSWORD = "FAKEpass";
const SEED = 25;

/** Hosts and ports as one text, then user, password and database. */
function read(url: string): (string | undefined)[] {
  const { servers, user, password, database } = readDatabaseUrl(url);
  const where = servers.map(({ host, address, port }) => `${host} ${address ?? "-"} ${port}`);
  return [where.join(", "), user, password, database];
}

const FORMS: Readonly<Record<string, readonly (string | undefined)[]>> = {
  "postgres://": ["", undefined, undefined, undefined],
  "postgresql:///d": ["", undefined, undefined, "d"],
  "postgres://h": ["h - 5432", undefined, undefined, undefined],
  "postgres://h:6/d": ["h - 6", undefined, undefined, "d"],
  "postgres://u@h:/d": ["h - 5432", "u", undefined, "d"],
  "postgres://u:p@h/d": ["h - 5432", "u", "p", "d"],
  "postgres://u:p@h?dbname=d": ["h - 5432", "u", "p", "d"],
  "postgres://u:p:q@h/d": ["h - 5432", "u", "p:q", "d"],
  "postgres://u:p@q@h/d": ["h - 5432", "u", "p@q", "d"],
  "postgres://u:p?q@h/d": ["h - 5432", "u", "p?q", "d"],
  "postgres://u:p#q@h/d": ["h - 5432", "u", "p#q", "d"],
  "postgres://u%40x:p%2F%3F%23%25@h/d%20e": ["h - 5432", "u@x", "p/?#%", "d e"],
  "postgres://u:p+q@h/d+e": ["h - 5432", "u", "p+q", "d+e"],
  "postgres://u@h/d?application_name=a@b": ["h - 5432", "u", undefined, "d"],
  "postgres://h/d?application_name=a@b": ["h - 5432", undefined, undefined, "d"],
  "postgres://[::1]/d": ["::1 - 5432", undefined, undefined, "d"],
  "postgres://u:p@[2001:db8::1]:6/d": ["2001:db8::1 - 6", "u", "p", "d"],
  "postgres://[fe80::1%25eth0]:6/d": ["fe80::1%eth0 - 6", undefined, undefined, "d"],
  "postgres://a,b:6,[::1]:7/d": ["a - 5432, b - 6, ::1 - 7", undefined, undefined, "d"],
  "postgres://%2Frun%2Fpg/d": ["/run/pg - 5432", undefined, undefined, "d"],
  "postgres://%2Frun%2Fpg:6,h/d": ["/run/pg - 6, h - 5432", undefined, undefined, "d"],
  "postgres:///d?host=/run/pg&port=6": ["/run/pg - 6", undefined, undefined, "d"],
  "postgres:///d?host=@abstract": ["@abstract - 5432", undefined, undefined, "d"],
  "postgres://x:1/y?host=a,b&port=6&dbname=d&user=u&password=p%3Dq": [
    "a - 6, b - 6",
    "u",
    "p=q",
    "d",
  ],
  "postgres://?host=a,b&port=6,7": ["a - 6, b - 7", undefined, undefined, undefined],
  "postgres://h/d?hostaddr=127.0.0.1": ["h 127.0.0.1 5432", undefined, undefined, "d"],
  "postgres:///d?hostaddr=::1&port=6": ["::1 - 6", undefined, undefined, "d"],
  "postgres://a,b/d?hostaddr=127.0.0.1,::1": [
    "a 127.0.0.1 5432, b ::1 5432",
    undefined,
    undefined,
    "d",
  ],
};

test("its parts", () => {
  for (const [url, expected] of Object.entries(FORMS)) assert.deepEqual(read(url), expected, url);
});

test("any user, password, host and database, encoded", () => {
  const text = fc.string({ unit: "grapheme", minLength: 1 }).filter((it) => !it.includes("\0"));
  const name = text.filter((it) => !/[,:[\]]/.test(it));
  const encode = encodeURIComponent;
  fc.assert(
    fc.property(text, text, name, text, fc.boolean(), (user, password, host, database, asked) => {
      const url = asked
        ? `postgres:///?host=${encode(host)}&user=${encode(user)}&password=${encode(password)}&dbname=${encode(database)}`
        : `postgres://${encode(user)}:${encode(password)}@${encode(host)}/${encode(database)}`;
      const where = `${host} - 5432`;
      assert.deepEqual(read(url), [where, user, password, database]);
      const another = withUser(url, password, user);
      assert.deepEqual(read(another), [where, password, user, database]);
    }),
    inputs(SEED, 2000),
  );
});

test("a login's URL differs in its user alone, wherever that stood", () => {
  for (const [url, expected] of [
    ["postgres://h/d", "postgres://a:b%40@h/d"],
    ["postgres://u:p@[::1]:6/d?sslmode=require", "postgres://a:b%40@[::1]:6/d?sslmode=require"],
    ["postgres://u:p?q@h", "postgres://a:b%40@h"],
    ["postgres:///d?user=u&host=/run&%70assword=p&port=6", "postgres://a:b%40@/d?host=/run&port=6"],
  ] as const) {
    assert.equal(withUser(url, "a", "b@"), expected);
  }
});

test("what TLS means where nothing is said of it", () => {
  const wish = (url: string) => {
    const { servers, tlsTo } = readDatabaseUrl(url);
    return servers.map((server) => {
      const tls = tlsTo(server);
      return tls === undefined ? "none" : tls.optional ? "if it has it" : "always";
    });
  };
  const local = "localhost,LOCALHOST,127.0.0.1,127.9.9.9,[::1],[::ffff:127.0.0.1]";
  assert.deepEqual(new Set(wish(`postgres://${local}/d`)), new Set(["if it has it"]));
  const remote = "h,localhost.example,10.0.0.1,0.0.0.0,[2001:db8::1],127.0.0.1.example,localhost.";
  for (const mode of ["", "?sslmode=prefer", "?sslmode=allow", "?sslmode=require"]) {
    assert.deepEqual(new Set(wish(`postgres://${remote}/d${mode}`)), new Set(["always"]), mode);
  }
  assert.deepEqual(wish("postgres://h,%2Frun,[::1]/d"), ["always", "none", "if it has it"]);
  // By where it goes, and not by what it is called.
  assert.deepEqual(wish("postgres://localhost/d?hostaddr=10.0.0.1"), ["always"]);
  assert.deepEqual(wish("postgres://h,[::1]/d?sslmode=disable"), ["none", "none"]);
  const { servers } = readDatabaseUrl("postgres://localhost/d?hostaddr=10.0.0.1");
  assert.ok(servers.every((server) => !isLocal(server)));
});

test("connecting takes no longer than is asked, and never too long", () => {
  const ms = (value: string): number =>
    readDatabaseUrl(`postgres://h/d?connect_timeout=${value}`).connectTimeoutMs;
  assert.deepEqual(["2", "0", "-1", "3600"].map(ms), [2000, 3000, 3000, 10_000]);
});

const REFUSED: Readonly<Record<string, RegExp>> = {
  "service=x": /service: this parameter is not supported/,
  "passfile=x": /passfile: /,
  "require_auth=scram-sha-256": /require_auth: /,
  "requirepeer=postgres": /requirepeer: /,
  "replication=database": /replication: /,
  "sslkeylogfile=/tmp/x": /sslkeylogfile: /,
  "sslcrldir=/x": /sslcrldir: /,
  "krbsrvname=x": /krbsrvname: /,
  "search_path=x": /search_path: this parameter is not supported.*options=-c/,
  "__proto__=x": /__proto__: this parameter is not supported/,
  "constructor=x": /constructor: this parameter is not supported/,
  "gssencmode=require": /gssencmode: GSSAPI is not supported/,
  "sslnegotiation=direct": /sslnegotiation: /,
  "load_balance_hosts=random": /load_balance_hosts: /,
  "target_session_attrs=any": /target_session_attrs: the service works on a primary alone/,
  "client_encoding=latin1": /client_encoding: the service speaks UTF8 alone/,
  "sslmode=maybe": /sslmode: give disable or allow/,
  "ssl=perhaps": /ssl: give true/,
  "sslmode=require&sslrootcert=system": /sslrootcert: with system/,
  "sslcert=/x": /sslkey: give both/,
  "sslkey=/x": /sslcert: give both/,
  "sslmode=disable&channel_binding=require": /channel_binding: require needs TLS/,
  "sslmode=verify-full&sslrootcert=/nonexistent.pem":
    /sslrootcert: can't read .*\/nonexistent\.pem/,
  "keepalives=2": /keepalives: give 0 or 1/,
  "connect_timeout=soon": /connect_timeout: give a whole number/,
  "port=x": /port: give numbers of 1 to 65535/,
  "port=1,2": /port: give one, or as many as there are hosts/,
  "hostaddr=h": /hostaddr: give addresses/,
  "hostaddr=::1,::1": /hostaddr: give as many as there are hosts/,
  "host=%zz": /host: write a % as %25/,
  "options=%00": /options: write a % as %25/,
  keepalives: /keepalives: write it as name=value/,
  "options=a=b": /options: write it as name=value, and a = in a value as %3D/,
  [`${PASSWORD}!=x`]: /a parameter of the query|this parameter/,
};

test("what can't be done is one sentence or two that name it, and hold no value of the URL", () => {
  const refusal = (url: string): string => {
    try {
      const { servers, tlsTo } = readDatabaseUrl(url);
      for (const server of servers) tlsTo(server);
    } catch (error) {
      assert.ok(error instanceof ConfigError, url);
      assert.match(error.message, /^DATABASE_URL: /);
      assert.ok(!error.message.includes("\n") && !error.message.includes(PASSWORD), error.message);
      return error.message;
    }
    return assert.fail(`${url} is not refused`);
  };
  for (const [query, message] of Object.entries(REFUSED)) {
    assert.match(refusal(`postgres://u:${PASSWORD}@h/d?${query}`), message);
    assert.match(refusal(`postgres://h/d?${query}&password=${PASSWORD}`), message);
  }
  for (const [hosts, message] of [
    ["h:x", /port/],
    ["h:99999", /port/],
    ["::1", /IPv6 address stands in brackets/],
    ["[::1", /IPv6 address stands in brackets/],
    ["[h]", /only an IPv6 address/],
    ["[::1]x", /IPv6 address stands in brackets/],
    ["h%zz", /host: write a % as %25/],
  ] as const) {
    assert.match(refusal(`postgres://u:${PASSWORD}@${hosts}/d`), message);
  }
  assert.match(refusal(`postgres://u:${PASSWORD}%zz@h/d`), /password: write a % as %25/);
  fc.assert(
    fc.property(fc.string({ unit: "binary-ascii" }), (text) => {
      const url = `postgres://u:${PASSWORD}@${text}`;
      try {
        const { servers, tlsTo } = readDatabaseUrl(url);
        for (const server of servers) tlsTo(server);
      } catch (error) {
        assert.ok(error instanceof ConfigError && !error.message.includes(PASSWORD), url);
      }
    }),
    inputs(SEED, 5000),
  );
});

test("a password that isn't encoded is shown nowhere and looked up nowhere", () => {
  const around = fc.string({ unit: fc.constantFrom(...Array.from("/?&=#@:%[],x")), maxLength: 5 });
  const forms = fc.constantFrom(
    (password: string) => `postgres://u:${password}@h/d`,
    (password: string) => `postgres://u:${password}@h/d?sslmode=disable`,
    (password: string) => `postgres://h/d?password=${password}`,
    (password: string) => `postgres://h/d?sslpassword=${password}&user=u@x`,
  );
  const urls = fc
    .tuple(forms, around, around)
    .map(([form, before, after]) => form(`${before}${PASSWORD}${after}`));
  fc.assert(
    fc.property(urls, (url) => {
      try {
        const { servers } = readDatabaseUrl(url);
        const hosts = servers.map(({ host }) => host).join();
        assert.ok(!hosts.includes(PASSWORD), hosts);
      } catch (error) {
        assert.ok(error instanceof ConfigError && !error.message.includes(PASSWORD), String(error));
      }
    }),
    { seed: SEED, numRuns: 5000 },
  );
  for (const piece of [`p/a?${PASSWORD}&x`, `p/a?x=1&${PASSWORD}=2`]) {
    assert.throws(() => readDatabaseUrl(`postgres://u:${piece}@h/d`), ConfigError);
  }
});
