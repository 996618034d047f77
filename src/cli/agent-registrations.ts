// x3sproxy agent register and agent registrations: what an agent's container trades for its token.
import { InvalidArgumentError, type Command } from "commander";
import type { Clock } from "../platform/clock.ts";
import { parseDuration } from "../platform/config-values.ts";
import { call } from "./api.ts";
import { examples, reports, relative, table } from "./output.ts";

const MIN_MS = 60_000;
const MAX_MS = 86_400_000;

export function addRegistrationCommands(agent: Command, clock: Clock): void {
  reports(
    agent
      .command("register <name>")
      .description(
        "make a registration token, shown once, which the agent's container trades for its token",
      )
      .option("--expires <duration>", "how long it can be traded, up to 24h", lifeSeconds, 3600)
      .addHelpText(
        "after",
        examples(
          "x3sproxy agent register coder",
          "x3sproxy agent register coder --expires 10m --json | jq -r .token",
        ),
      ),
    async ([name = ""], command) => {
      const { expires: expiresInSeconds } = command.opts<{ expires: number }>();
      const { registration, token } = await call("POST /agents/:name/registrations", {
        params: { name },
        body: { expiresInSeconds },
      });
      const text =
        `# For agent ${registration.agent}: good once, until ${registration.expiresAt}, and shown only now. In its container:\n` +
        `#   x3sproxy register --token-file <file>\n` +
        `export X3SPROXY_REGISTRATION_TOKEN='${token}'`;
      return { json: { ...registration, token }, text };
    },
  );

  reports(
    agent
      .command("registrations <name>")
      .description("which registrations can still be traded")
      .option("--revoke <id>", "revoke one")
      .addHelpText("after", examples("x3sproxy agent registrations coder")),
    async ([name = ""], command) => {
      const { revoke } = command.opts<{ revoke?: string }>();
      if (revoke !== undefined) {
        const { registration } = await call("DELETE /agents/:name/registrations/:id", {
          params: { name, id: revoke },
        });
        return { json: registration, text: `Revoked registration ${registration.id}.` };
      }
      const { registrations } = await call("GET /agents/:name/registrations", { params: { name } });
      const rows = registrations.map((it) => [
        it.id,
        it.createdBy,
        relative(it.createdAt, clock.nowMs()),
        relative(it.expiresAt, clock.nowMs()),
      ]);
      const text =
        rows.length === 0
          ? `No registrations: x3sproxy agent register ${name}`
          : table(["ID", "MADE BY", "MADE", "EXPIRES"], rows);
      return { json: registrations, text };
    },
  );
}

function lifeSeconds(text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined || ms < MIN_MS || ms > MAX_MS) {
    throw new InvalidArgumentError("Give a duration from 1m to 24h, as in 30m.");
  }
  return Math.floor(ms / 1000);
}
