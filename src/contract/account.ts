// The caller's own account: who it is, sign-in and sign-out, one-time links, proof, password, second factor and sessions. A link's token is
// sent in the body, since URLs end up in logs.
import { z } from "zod";
import type { Routes } from "./declaration.ts";
import { email, role, text } from "./fields.ts";
import { nextCursor, pageQuery } from "./lists.ts";

/** An entered password. The rules for new passwords are in identity/. */
const password = z.string().max(4096);

/** A code of a second factor: six digits, or a recovery code. */
const code = z.string().trim().min(1).max(64);

const linkToken = z.string().max(200);

const me = z.object({
  kind: z.enum(["user", "api_key"]),
  id: z.string(),
  /** An e-mail address, or an API key's name. */
  name: z.string(),
  role,
  agents: z.array(z.string()).nullable(),
  workspace: z.object({ id: z.string(), name: z.string(), secondFactorRequired: z.boolean() }),
  /** Null for an API key. */
  session: z
    .object({
      id: z.string(),
      provedAt: z.string(),
      endsAt: z.string(),
    })
    .nullable(),
  secondFactor: z.object({ enrolled: z.boolean(), recoveryCodesLeft: z.number() }).nullable(),
  /** Whether the user must first enrol a second factor. */
  mustEnrol: z.boolean(),
});
export type Me = z.infer<typeof me>;

export const oneMe = z.object({ me });

/** The answer that begins a session, or renews its values. */
export const signedIn = oneMe.extend({
  sessionSecret: z
    .string()
    .describe(
      "For the header `X3sproxy-Session` of every request of this session. Told here and never again.",
    ),
});

/** A browser's own random value of 256 bits, which it keeps. */
const device = z
  .string()
  .regex(/^[A-Za-z0-9_-]{43}$/, "give 32 random bytes in base64url, or leave it out")
  .describe(
    "32 random bytes in base64url, made and kept by the browser. Once signed in to by it, an account lets it try whatever strangers did.",
  );

const signInBody = z.strictObject({
  email: text(1000),
  password,
  code: code.optional(),
  device: device.optional(),
});

const proofBody = z.union(
  [z.strictObject({ password }), z.strictObject({ code })],
  "give a password or a code",
);
const passwordBody = z.strictObject({ current: password, password });
const secondFactorBody = z.strictObject({
  /** Base32 of 20 bytes, made by the browser. */
  seed: z.string().regex(/^[A-Za-z2-7]{32}$/, "give 32 characters of base32"),
  code: z.string().regex(/^\d{6}$/, "give six digits"),
});
const recoveryCodes = z.array(z.string());
const bySession = { params: z.object({ id: z.guid() }), unknown: "session_not_found" } as const;

const session = z.object({
  id: z.string(),
  current: z.boolean(),
  createdAt: z.string(),
  lastSeenAt: z.string(),
  endsAt: z.string(),
  address: z.string().nullable(),
  userAgent: z.string().nullable(),
});
export type Session = z.infer<typeof session>;

const setupBody = z.strictObject({ token: linkToken, email, password });
const acceptBody = z.strictObject({ token: linkToken, password });
const link = z.object({
  kind: z.enum(["invitation", "reset", "setup"]),
  email: z.string().nullable(),
  role: role.nullable(),
  /** Whether a code of the second factor is needed, too. */
  needsCode: z.boolean(),
});
export type Link = z.infer<typeof link>;
const resetBody = acceptBody.extend({
  /** A code of the second factor, unless the reset removes it. */
  code: code.optional(),
});

export const accountRoutes = {
  "GET /whoami": {
    summary: "Tell who is asking",
    permission: "self",
    answer: z.object({ id: z.string(), name: z.string(), role, workspaceId: z.string() }),
  },

  "POST /sign-in": {
    summary: "Sign in: sets the session's cookie, and tells its secret",
    permission: "public",
    forSession: true,
    body: signInBody,
    answer: signedIn,
  },

  "POST /sign-out": {
    summary: "End this session",
    permission: "person",
  },

  "GET /me": {
    summary: "Tell who is asking",
    permission: "self",
    answer: oneMe,
  },

  "POST /me/proof": {
    summary: "Prove again who is asking: good for five minutes",
    permission: "person",
    body: proofBody,
    answer: oneMe,
  },

  "PUT /me/password": {
    summary: "Change the own password: ends all other sessions",
    permission: "person",
    body: passwordBody,
    answer: signedIn,
  },

  "PUT /me/second-factor": {
    summary: "Enrol a second factor, or replace it: gives recovery codes, once",
    permission: "person",
    fresh: true,
    body: secondFactorBody,
    answer: signedIn.extend({ recoveryCodes }),
  },

  "DELETE /me/second-factor": {
    summary: "Remove the own second factor",
    permission: "person",
    fresh: true,
    answer: signedIn,
  },

  "POST /me/recovery-codes": {
    summary: "Make ten new recovery codes, shown once; the ones before end",
    permission: "person",
    fresh: true,
    answer: z.object({ recoveryCodes }),
  },

  "GET /me/sessions": {
    summary: "List the own sessions, latest first",
    permission: "person",
    query: pageQuery,
    answer: z.object({ sessions: z.array(session), nextCursor }),
  },

  "DELETE /me/sessions/:id": {
    summary: "End one of the own sessions",
    permission: "person",
    ...bySession,
  },

  "DELETE /me/sessions": {
    summary: "End all other sessions of one's own",
    permission: "person",
  },

  "POST /links/look": {
    summary: "Tell what a one-time link is for, without using it up",
    permission: "link",
    forSession: true,
    body: z.strictObject({ token: linkToken }),
    answer: link,
  },

  "POST /setup": {
    summary: "Make the first user, with the token of the setup link, and sign in",
    permission: "link",
    forSession: true,
    body: setupBody,
    answer: signedIn,
    success: [201],
  },

  "POST /invitations/accept": {
    summary: "Become a user, with the token of an invitation, and sign in",
    permission: "link",
    forSession: true,
    body: acceptBody,
    answer: signedIn,
    success: [201],
  },

  "POST /resets/accept": {
    summary: "Set another password, with the token of a reset, and sign in",
    permission: "link",
    forSession: true,
    body: resetBody,
    answer: signedIn,
  },
} satisfies Routes;
export type AccountRoutes = typeof accountRoutes;
