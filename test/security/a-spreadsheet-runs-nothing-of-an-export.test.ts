import assert from "node:assert/strict";
import test from "node:test";
import { csvOf } from "../../src/audit/export-csv.ts";
import type { EventLine } from "../../src/audit/export-lines.ts";

const hash = "0".repeat(64);

/** The cell of a target's name, as it stands in an export. */
function cellOf(name: string): string {
  const at = "2026-11-25T19:02:56.123456Z";
  const line: EventLine = {
    ...{ type: "event", index: 0, id: "1", erased: [], leafHash: hash },
    event: {
      ...{ at, actorKind: "service", method: "service", action: "secret.set", targetKind: "t" },
      ...{ beforeHash: null, afterHash: null, result: "done", detail: null },
    },
    actor: { salt: null, id: null, name: "", address: null, commitment: hash },
    target: { salt: null, id: "TARGET", name, commitment: hash },
  };
  const row = csvOf(line);
  return row.slice(row.indexOf("TARGET,") + 7, row.indexOf(`,,,done,,,${hash}`));
}

test("no cell begins as a formula does, in whatever width it is written", () => {
  for (const start of ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"]) {
    assert.match(cellOf(`${start}1+1`), /^"?'/, JSON.stringify(start));
  }
  assert.equal(cellOf("ada=1"), "ada=1");
});

test("a cell stays one where tabs or semicolons part cells, too", () => {
  assert.equal(cellOf("a;=1+1"), '"a;=1+1"');
  assert.equal(cellOf("a\t=1+1"), '"a\t=1+1"');
  assert.equal(cellOf('a"\r\nb,c'), '"a""\r\nb,c"');
});
