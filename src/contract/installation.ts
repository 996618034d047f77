// The whole installation: its workspaces, master keys and backups, and the OpenAPI document.
import { z } from "zod";
import type { Routes } from "./declaration.ts";
import { line, time, workspaceName } from "./fields.ts";
import { nextCursor, pageQuery } from "./lists.ts";

const byWorkspace = { params: z.object({ id: z.guid() }), unknown: "workspace_not_found" } as const;

const workspaceSummary = z.object({
  id: z.string(),
  name: z.string(),
  /** Whether it is the installation's first workspace, whose owners manage the others. */
  home: z.boolean(),
  createdAt: time,
  users: z.number(),
  agents: z.number(),
  secrets: z.number(),
  /** When the setup link expires, while the workspace has no user. */
  setupEndsAt: time.nullable(),
});
export type WorkspaceSummary = z.infer<typeof workspaceSummary>;
const setupLink = { url: z.string(), expiresAt: time };

const keyId = z.string().regex(/^[0-9a-f]{16}$/, "16 hex digits: a master key's id, never the key");

const masterKeys = z.object({
  masterKeys: z.array(
    z.object({
      id: z.string(),
      active: z.boolean().describe("Whether it seals what is new."),
      createdAt: time,
      activatedAt: time.nullable().describe("Null: it was never the active one."),
      sealed: z.number().describe("How many values are sealed under it."),
      heldBy: z.number().describe("How many of the processes below hold it."),
    }),
  ),
  rotation: z.object({
    to: z.string(),
    state: z.enum(["running", "done"]),
    rewrapped: z
      .number()
      .describe("How many values came to it from other keys since it became active."),
    left: z.number().describe("How many values are sealed under other keys."),
    unreadable: z
      .number()
      .describe("How many of those can't be opened, as of the last round; the log names them."),
  }),
  processes: z
    .array(
      z.object({ id: z.string(), masterKeys: z.array(z.string()), startedAt: time, seenAt: time }),
    )
    .describe("Those that were seen within the last minute."),
});
export type MasterKeys = z.infer<typeof masterKeys>;

const MAX_RECIPIENTS = 20;
// A post-quantum key of age has about 2,000 characters.
const MAX_RECIPIENT_CHARACTERS = 4000;

const backupBody = z.strictObject({
  recipients: z
    .array(line(MAX_RECIPIENT_CHARACTERS).min(1))
    .min(1)
    .max(MAX_RECIPIENTS)
    .describe(
      "Public keys of age (`age1…`): whoever has the secret key of one can open the backup.",
    ),
});

export const installationRoutes = {
  "GET /workspaces": {
    summary: "List the workspaces: to an owner of the home workspace all, to others their own",
    permission: "owner",
    query: pageQuery,
    answer: z.object({ workspaces: z.array(workspaceSummary), nextCursor }),
  },

  "POST /workspaces": {
    summary: "Make a workspace, and a link, shown once, for its first user",
    description: "For owners of the home workspace. The link works once, for 72 hours.",
    permission: "owner",
    fresh: true,
    body: z.strictObject({ name: workspaceName }),
    example: { name: "research" },
    answer: z.object({ workspace: workspaceSummary, ...setupLink }),
    success: [201],
  },

  "POST /workspaces/:id/setup-link": {
    summary: "Make another link, shown once, for a workspace that has no user yet",
    description: "For owners of the home workspace. The link before it stops working.",
    permission: "owner",
    fresh: true,
    ...byWorkspace,
    answer: z.object(setupLink),
  },

  "DELETE /workspaces/:id": {
    summary: "Delete a workspace with all that is in it",
    description:
      "For owners of the home workspace, which itself can't be deleted. The body repeats the workspace's name. Its agents' tokens, API " +
      "keys and sessions end at once; its audit stays in the database.",
    permission: "owner",
    fresh: true,
    ...byWorkspace,
    body: z.strictObject({ name: workspaceName }),
    example: { name: "research" },
    answer: z.object({ workspace: workspaceSummary }),
  },

  "GET /master-keys": {
    summary: "List the master keys by id, what is sealed under each, and which processes hold them",
    description:
      "For owners of the home workspace. A key under which nothing is sealed, and that isn't active, can be taken away from all processes.",
    permission: "owner",
    answer: masterKeys,
  },

  "POST /master-keys/rotation": {
    summary: "Make another master key the active one, and rewrap all data keys under it",
    description:
      "For owners of the home workspace. Answers at once; `GET /master-keys` tells how far it is. Without `to`: the only key that was never active. " +
      "All processes that run must hold it. Repeating it does nothing.",
    permission: "owner",
    fresh: true,
    body: z.strictObject({ to: keyId.optional() }),
    answer: masterKeys,
  },

  "POST /backups": {
    summary: "Make a backup of the whole instance, sealed to public keys of age",
    description:
      "For owners of the home workspace. The answer is the backup, in the age format; an answer that breaks off does not open to its end. " +
      "The master key is not in it. One at a time: 503 `busy` while another is being made.",
    permission: "owner",
    fresh: true,
    body: backupBody,
    example: { recipients: ["age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"] },
    streams: "application/octet-stream",
    success: [200],
  },

  "GET /openapi.json": {
    summary: "This API as an OpenAPI 3.1 document",
    permission: "public",
    answer: z.looseObject({ openapi: z.string() }),
  },
} satisfies Routes;
export type InstallationRoutes = typeof installationRoutes;
