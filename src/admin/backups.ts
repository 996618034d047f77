// Backups over REST: the answer is the backup itself, sealed before it leaves.
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import type { Backups } from "../backup/index.ts";
import { actorOf } from "./funnel.ts";
import { line } from "./names.ts";
import { addRoute } from "./route.ts";

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

export function addBackupRoutes(app: FastifyInstance, { backups }: { backups: Backups }): void {
  addRoute(app, {
    method: "POST",
    path: "/backups",
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
    async handle({ body, request, reply }) {
      const { id, createdAt, stream } = await backups.create(actorOf(request), body.recipients);
      const name = `x3sproxy-${createdAt.slice(0, 19).replaceAll(":", "")}Z.age`;
      void reply
        .type("application/octet-stream")
        .header("content-disposition", `attachment; filename="${name}"`)
        .header("x3sproxy-backup", id)
        .send(stream);
      return undefined;
    },
  });
}
