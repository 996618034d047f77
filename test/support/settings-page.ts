// docs/settings.md, made from the table of settings.
import { writeFile } from "node:fs/promises";
import { z } from "zod";
import { parts } from "../../src/platform/settings.ts";

export const PAGE_FILE = new URL("../../docs/settings.md", import.meta.url);

const HEADING = `<!-- Made by: node test/support/settings-page.ts --write -->
# Settings

All are environment variables. A blank one counts as not set. At its start the service warns of names that are no setting, and the doctor says so, too.
`;

interface Row {
  readonly description: string;
  readonly wants: string;
  readonly default?: string;
  /** In words, where there is no fixed text. */
  readonly otherwise?: string;
}

export function settingsPage(): string {
  const tables = Object.entries(parts).map(([title, part]) => {
    // As people write them: texts, before anything is read.
    const { properties } = z.toJSONSchema(part, { io: "input" });
    const rows = Object.entries(properties as unknown as Record<string, Row>);
    return [
      ...[`## ${title}`, "", "| setting | meaning | value | default |", "|---|---|---|---|"],
      ...rows.map(([name, row]) => rowOf(name, row)),
    ].join("\n");
  });
  return `${HEADING}\n${tables.join("\n\n")}\n`;
}

function rowOf(name: string, { description, wants, otherwise, ...row }: Row): string {
  const fallback = row.default ? `\`${row.default}\`` : "";
  return `| \`${name}\` | ${description} | ${wants} | ${otherwise ?? fallback} |`;
}

if (import.meta.main && process.argv[2] === "--write") await writeFile(PAGE_FILE, settingsPage());
