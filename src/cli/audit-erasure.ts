// x3sproxy audit erase: takes a person out of the audit, on that person's request. For owners.
import type { Command } from "commander";
import { call } from "./api.ts";
import { examples, reports } from "./command.ts";
import { printable } from "./failure.ts";
import { confirm } from "./prompt.ts";

export function addAuditErasure(program: Command): void {
  const audit =
    program.commands.find((command) => command.name() === "audit") ??
    program.command("audit").helpCommand(false).description("what was done, by whom");

  reports(
    audit
      .command("erase <user>")
      .description("take a deleted user, by e-mail or id, out of the audit; what was done stays")
      .option("--yes", "don't ask")
      .addHelpText("after", examples("x3sproxy audit erase ada@example.com --yes")),
    async ([user = ""], command) => {
      const { yes } = command.opts<{ yes?: true }>();
      const name = printable(user);
      await confirm(`Erase ${name} from the audit? This can't be undone.`, yes);
      const { erasure } = await call("POST /audit/erasures", { body: { user } });
      return { json: erasure, text: describe(name, erasure) };
    },
  );
}

function describe(
  name: string,
  { parts, waiting, others }: { parts: number; waiting: number; others: number },
): string {
  if (parts + waiting + others === 0) return `Nothing is left of ${name}.`;
  const done = `Erased ${name}: ${parts} parts of events, ${others} rows beside the audit.`;
  return waiting === 0
    ? done
    : `${done}\n${waiting} parts are not sealed yet. Run it again in a minute.`;
}
