// People at an admin side: each with a browser of their own, at an address of their own, and a phone that makes codes.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import type { TestContext } from "node:test";
import ipaddr from "ipaddr.js";
import { Secret, TOTP } from "otpauth";
import { createSessionCookie } from "../../src/admin/browsers.ts";
import type { Pool } from "../../src/db/index.ts";
import type { Role } from "../../src/contract/index.ts";
import type { TestDatabase } from "../support/database.ts";
import { DASHBOARD_URL, openAdmin, sendTo, stringAt, type Answer } from "./fixture.ts";

export const PASSWORD = "correct horse battery";
export const OWNER_EMAIL = "first@example.test";
const LOOPBACK = ipaddr.parseCIDR("127.0.0.0/8");

/** What a browser does: keeps the session's cookie, and the secret that the dashboard's origin was told. */
export interface Browser {
  readonly address: string;
  /** The session's value; undefined when signed out. */
  cookie(): string | undefined;
  /** The session's secret; undefined when signed out. */
  secret(): string | undefined;
  readonly call: (
    method: string,
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
  ) => Promise<Answer>;
  signIn(email: string, password?: string, code?: string, device?: string): Promise<Answer>;
  /** The same browser at another service. */
  at(url: string): Browser;
}

let addresses = 0;

/** An address that nobody else has. */
export function newAddress(): string {
  addresses++;
  return `10.${addresses >> 16}.${(addresses >> 8) & 255}.${addresses & 255}`;
}

/** `cookieName`: of a service that is reached by another URL than `url`. */
export function createBrowser(url: string, cookieName?: string, address = newAddress()): Browser {
  return browserOn(url, cookieName, address, {});
}

interface Jar {
  cookie?: string | undefined;
  secret?: string | undefined;
}

function browserOn(url: string, givenName: string | undefined, address: string, jar: Jar): Browser {
  const cookieName = givenName ?? createSessionCookie(url).name;
  const call: Browser["call"] = async (method, path, body, headers = {}) => {
    const answer = await sendTo(url, `/api/v1${path}`, {
      method,
      headers: {
        "x-forwarded-for": address,
        "user-agent": "a test's browser",
        ...(jar.cookie !== undefined && { cookie: `${cookieName}=${jar.cookie}` }),
        ...(jar.secret !== undefined && { "x3sproxy-session": jar.secret }),
        ...(body !== undefined && { "content-type": "application/json" }),
        ...headers,
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    for (const line of answer.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      assert.equal(name, cookieName);
      jar.cookie = value === "" ? undefined : value;
      if (jar.cookie === undefined) jar.secret = undefined;
    }
    const { sessionSecret } = answer.body;
    if (typeof sessionSecret === "string") jar.secret = sessionSecret;
    return answer;
  };
  return {
    address,
    call,
    cookie: () => jar.cookie,
    secret: () => jar.secret,
    signIn: (email, password = PASSWORD, code, device) =>
      call("POST", "/sign-in", {
        ...{ email, password },
        ...(code !== undefined && { code }),
        ...(device !== undefined && { device }),
      }),
    at: (other) => browserOn(other, givenName, address, jar),
  };
}

/** What somebody's phone has. */
export interface Phone {
  readonly seed: string;
  /** The code of the time step at `nowMs`. */
  code(nowMs: number): string;
}

export function createPhone(): Phone {
  const secret = new Secret({ buffer: Uint8Array.from(randomBytes(20)).buffer });
  const kind = { secret, algorithm: "SHA1", digits: 6, period: 30 };
  return {
    seed: secret.base32,
    code: (nowMs) => TOTP.generate({ ...kind, timestamp: nowMs }),
  };
}

/** An admin side with its first user, signed in. All addresses that browsers say are believed. */
export async function openPeople(
  t: TestContext,
  o: {
    dashboardUrl?: string;
    database?: TestDatabase;
    origins?: Readonly<Record<string, string>>;
    openPool?: (controlUrl: string) => Pool;
  } = {},
) {
  const admin = await openAdmin(t, { ...o, trustedProxies: [LOOPBACK] });
  const { name: cookieName } = createSessionCookie(o.dashboardUrl ?? DASHBOARD_URL);
  const browse = (address?: string): Browser => createBrowser(admin.url, cookieName, address);

  const first = browse();
  const setup = { token: admin.setupToken, email: OWNER_EMAIL, password: PASSWORD };
  const made = await first.call("POST", "/setup", setup);
  assert.equal(made.status, 201, made.text);

  /** Invites somebody and accepts; gives the id and the browser that is signed in. */
  const join = async (email: string, role: Role, agents: string[] | null = null) => {
    const invited = await first.call("POST", "/invitations", { email, role, agents });
    assert.equal(invited.status, 201, invited.text);
    const browser = browse();
    const accepted = await browser.call("POST", "/invitations/accept", {
      token: tokenOf(invited),
      password: PASSWORD,
    });
    assert.equal(accepted.status, 201, accepted.text);
    return { id: stringAt(accepted, "me", "id"), email, browser };
  };
  /** Enrols a phone for whoever is signed in; the next code is good. */
  const enrol = async (browser: Browser) => {
    const phone = createPhone();
    const answer = await browser.call("PUT", "/me/second-factor", {
      seed: phone.seed,
      code: phone.code(admin.clock.nowMs()),
    });
    assert.equal(answer.status, 200, answer.text);
    const recoveryCodes = answer.body["recoveryCodes"] as string[];
    return { phone, recoveryCodes, answer, nextCode: () => nextCode(phone) };
  };
  /** A code that has not been used: time moves on to the next step. */
  const nextCode = (phone: Phone): string => {
    admin.clock.advance(30_000);
    return phone.code(admin.clock.nowMs());
  };
  /** The audit's events, oldest first. */
  const events = async (action?: string) =>
    admin.owner<Record<string, unknown>[]>`
      select action, actor_kind, actor_name, address, method, target_kind, target_name, result,
        before_hash, after_hash, detail
      from x3sproxy.audit_events where ${action ?? null}::text is null or action = ${action ?? ""} order by id`;
  /** Lets the last proof of every session be as long ago. */
  const ageProofs = (interval: string) =>
    admin.owner`update x3sproxy.sessions set proved_at = now() - ${interval}::interval`;
  const ownerId = stringAt(made, "me", "id");
  return {
    ...{ ...admin, cookieName, browse, first, made, ownerId },
    ...{ join, enrol, nextCode, events, ageProofs },
  };
}

/** The token in the link of an answer. */
export function tokenOf(answer: Answer): string {
  const url = stringAt(answer, "url");
  const token = /#token=(x3slink_[A-Za-z0-9]{32})$/.exec(url)?.[1];
  assert.ok(token !== undefined, url);
  return token;
}

/** Fails unless `answer` is a refusal with this status and code. */
export function assertRefused(answer: Answer, status: number, code: string): void {
  assert.deepEqual([answer.status, answer.body["code"]], [status, code], answer.text);
}
