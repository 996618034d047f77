// x3sproxy master-key …: generates a key, lists keys by id, changes from one to another. A new key goes into a file, or to a standard output
// that is not a terminal. Nothing else here may hold a key.
import type { Command } from "commander";
import { setTimeout as delay } from "node:timers/promises";
import type { MasterKeys } from "../contract/index.ts";
import { call } from "./api.ts";
import { examples, reports, table } from "./output.ts";
import { Failure } from "./failure.ts";
import { addLine, writeNewFile } from "./key-files.ts";

interface GenerateOptions {
  readonly output?: string;
  readonly addTo?: string;
  readonly kms?: string;
  readonly print?: true;
}

const POLL_MS = 1000;

export function addMasterKeyCommands(program: Command): void {
  const masterKey = program
    .command("master-key")
    .helpCommand(false)
    .description("the keys under which everything is sealed: make one, and rotate to it");
  addGenerate(masterKey);
  addList(masterKey);
  addRotate(masterKey);
}

function addGenerate(masterKey: Command): void {
  reports(
    masterKey
      .command("generate")
      .description("make a new master key, into a file or to standard output")
      .option("--output <file>", "a new file, readable by its owner alone")
      .option("--add-to <file>", "one more line of a file that has one already")
      .option(
        "--kms <key>",
        "sealed by this key of AWS KMS (id, alias or ARN); see docs/master-key.md",
      )
      .option("--print", "to standard output, even if that is a terminal")
      .addHelpText(
        "after",
        examples(
          "x3sproxy master-key generate --output master.key",
          "x3sproxy master-key generate --add-to master.key",
          "x3sproxy master-key generate | vault kv put secret/x3sproxy key=-",
          "x3sproxy master-key generate --kms alias/x3sproxy --output master.kms",
        ),
      ),
    async (_, command) => {
      const { output, addTo, kms, print } = command.opts<GenerateOptions>();
      if (output !== undefined && addTo !== undefined) {
        throw new Failure(
          "usage",
          "Give --output for a new file, or --add-to for one that is there.",
        );
      }
      const file = output ?? addTo;
      if (file === undefined && print !== true && process.stdout.isTTY) {
        throw new Failure(
          "terminal",
          "This would show the key on the terminal. Give --output <file> or --add-to <file>, pipe it on, or say --print.",
        );
      }
      let printed = "";
      const write = async (line: Buffer): Promise<void> => {
        if (output !== undefined) await writeNewFile(output, line);
        else if (addTo !== undefined) await addLine(addTo, line);
        else printed = line.toString("latin1").trimEnd();
      };
      const { generateMasterKey } = await import("../vault/index.ts");
      const id = (await generateMasterKey({ kmsKey: kms }, write)) ?? null;
      if (file === undefined) {
        return { json: { id, masterKey: printed }, text: printed };
      }
      const name = id === null ? "A new master key, sealed by KMS," : `Master key ${id}`;
      return {
        json: { id, file },
        text: `${name} is in ${file}. Keep a copy, apart from the database.`,
      };
    },
  );
}

function addList(masterKey: Command): void {
  reports(
    masterKey
      .command("list")
      .description("the master keys by id, and how much is sealed under each")
      .addHelpText("after", examples("x3sproxy master-key list")),
    async () => {
      const view = await call("GET /master-keys");
      return { json: view, text: describe(view) };
    },
  );
}

function addRotate(masterKey: Command): void {
  reports(
    masterKey
      .command("rotate")
      .description("make another master key the active one, and rewrap everything under it")
      .option("--to <id>", "its id; without it: the only one that was never active")
      .option("--no-wait", "don't wait until everything is rewrapped")
      .addHelpText(
        "after",
        `${examples("x3sproxy master-key rotate", "x3sproxy master-key rotate --to 2b1498fba5b3742f")}
\nFirst give all processes the new key beside the old one; docs/master-key.md has the steps.`,
      ),
    async (_, command) => {
      const { to, wait } = command.opts<{ to?: string; wait: boolean }>();
      let view = await call("POST /master-keys/rotation", { body: { to } });
      const active = view.rotation.to;
      let shown = "";
      while (wait && view.rotation.state === "running") {
        const { left, rewrapped, unreadable } = view.rotation;
        if (unreadable > 0 && unreadable === left) {
          throw new Failure(
            "unreadable",
            `Everything is sealed under ${active} but ${unreadable} values that don't open. The service's log names them; delete them and set them anew.`,
          );
        }
        const progress = `${rewrapped} rewrapped, ${left} left\n`;
        if (progress !== shown) process.stderr.write(progress);
        shown = progress;
        await delay(POLL_MS);
        view = await call("GET /master-keys");
        if (view.rotation.to !== active) {
          throw new Failure(
            "superseded",
            `Meanwhile somebody has made ${view.rotation.to} active.`,
          );
        }
      }
      return { json: view, text: describe(view) };
    },
  );
}

function describe({ masterKeys, processes, rotation }: MasterKeys): string {
  const rows = masterKeys.map((key) => [
    key.id,
    stateOf(key, rotation.state === "done"),
    String(key.sealed),
    `${key.heldBy} of ${processes.length}`,
    key.activatedAt ?? "never",
  ]);
  const state =
    rotation.state === "done"
      ? `Everything is sealed under ${rotation.to}.`
      : `Going over to ${rotation.to}: ${rotation.left} left.`;
  return `${table(["ID", "STATE", "SEALED", "HELD BY PROCESSES", "ACTIVE SINCE"], rows)}\n${state}`;
}

function stateOf(key: MasterKeys["masterKeys"][number], done: boolean): string {
  if (key.active) return "active";
  if (key.sealed > 0 || !done) return "in use";
  return key.activatedAt === null ? "not used yet" : "no longer needed";
}
