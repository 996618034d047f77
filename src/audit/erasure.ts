// Erases a person from the audit on request, and from other rows that name the person. An erased part leaves its commitment, so the tree
// stays valid. The event of the erasure has a hash of the list of erased parts, which tells them from parts that somebody else emptied.
// Must never erase a user who still exists.
import { setTimeout as delay } from "node:timers/promises";
import type { Pool } from "../db/index.ts";
import { RequestError } from "../platform/errors.ts";
import type { Actor } from "./record.ts";
import type { Sequencer } from "./sequencer.ts";

export interface Erasure {
  /** How many parts of audit events were erased. */
  parts: number;
  /** How many parts are left because their events aren't sealed yet. Another request erases them. */
  waiting: number;
  /** How many rows outside of the audit were changed or deleted. */
  others: number;
}

export interface Erasures {
  /**
   * `user`: an id or an e-mail address of a deleted user. Changes nothing when nothing is left to erase. Recorded in the audit. Throws
   * RequestError: 409 `user_exists`, 422 `invalid_request`.
   */
  erase(by: Actor, user: string): Promise<Erasure>;
}

interface Row {
  parts: number | null;
  waiting: number;
  others: number;
}

const MAX_PASSES = 40;
const PAUSE_MS = 100;
const ID_OR_EMAIL = /^([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[^@\s]+@[^@\s]+)$/;

/** `pool`: of the control role. `sequencer`: seals events first, since only sealed events can lose a part. */
export function createErasures(o: { pool: Pool; sequencer: Sequencer }): Erasures {
  return {
    async erase(by, user) {
      const subject = user.trim().toLowerCase();
      if (subject.length > 254 || !ID_OR_EMAIL.test(subject)) {
        throw new RequestError(422, "invalid_request", "Give a user's id or e-mail address.");
      }
      const total = { parts: 0, waiting: 0, others: 0 };
      for (let pass = 1; ; pass += 1) {
        await o.sequencer.seal(by.workspaceId);
        const row = await erasePass(o.pool, by, subject);
        if (row.parts === null) {
          throw new RequestError(409, "user_exists", "This user exists. Delete the user first.");
        }
        total.parts += row.parts;
        total.others += row.others;
        total.waiting = row.waiting;
        if (row.waiting === 0 || pass === MAX_PASSES) return total;
        if (o.sequencer.isDamaged(by.workspaceId)) return total;
        // Another process seals them now, or there are too many for one transaction.
        if (row.parts === 0) await delay(PAUSE_MS);
      }
    },
  };
}

async function erasePass(pool: Pool, by: Actor, subject: string): Promise<Row> {
  const rows = await pool.inWorkspace(
    by.workspaceId,
    (sql) => sql<Row[]>`
      select parts::float8 as parts, waiting::float8 as waiting, others::float8 as others
      from x3sproxy.erase_person(${subject}, ${by.kind}, ${by.id}, ${by.name}, ${by.address}, ${by.method})`,
  );
  const [row] = rows;
  if (row === undefined) throw new Error("the erasure gave no answer");
  return row;
}
