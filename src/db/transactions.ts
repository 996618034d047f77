// The one way to run a transaction. It ends with its connection, and with the wait of whoever asked for it. The package lets a
// transaction's code go on when its connection is gone: what it says then is written to a socket that isn't there, outside of any
// promise, which ends the process; or, once there is another connection, on that one, outside of any transaction. The same goes for code
// that goes on after its transaction was given up. Must never commit what was given up.
import { setImmediate as nextTurn } from "node:timers/promises";
import type postgres from "postgres";

type Work = (sql: postgres.TransactionSql) => unknown;

export type Isolation = "isolation level repeatable read, read only";

/**
 * Runs `work` in a transaction of its own. `late` rejects when its caller is told that it failed: the transaction is then rolled back,
 * also when it had to wait for a connection until after that. Only an answer to the commit itself can come too late.
 */
export async function transact<T>(
  sql: postgres.Sql,
  work: (sql: postgres.TransactionSql) => Promise<T>,
  { late, isolation = "" }: { late?: Promise<never>; isolation?: Isolation | "" } = {},
): Promise<T> {
  // In an object, since the package would look into an array.
  const { value } = await sql.begin(isolation, async (transaction) => {
    if (late === undefined) return { value: await work(transaction) };
    await Promise.race([late, Promise.resolve()]);
    return { value: await Promise.race([work(transaction), late]) };
  });
  return value;
}

/** From now on, code that goes on in a transaction of `sql` that is over gets an error, and the server nothing. */
export function endWithConnection(sql: postgres.Sql): void {
  const begin = sql.begin.bind(sql) as (options: string, work: Work) => Promise<unknown>;
  const guarded = (...args: [Work] | [string, Work]): Promise<unknown> => {
    const [options, work] = args.length === 2 ? args : ["", args[0]];
    const state = { isOver: false, isSettled: false };
    const outcome = begin(options, async (transaction) => {
      try {
        return await work(whileOpen(transaction, () => state.isOver));
      } catch (error) {
        state.isOver = true;
        // The package tells of a lost connection only after it has told the statements under way.
        await nextTurn();
        throw error;
      } finally {
        state.isOver = true;
        // `commit` or `rollback` would follow.
        if (state.isSettled) await new Promise(() => undefined);
      }
    });
    const settle = (): void => {
      state.isOver = true;
      state.isSettled = true;
    };
    outcome.then(settle, settle);
    return outcome;
  };
  sql.begin = guarded as typeof sql.begin;
}

/** The same, until `isOver`: from then on its use throws. */
function whileOpen(
  transaction: postgres.TransactionSql,
  isOver: () => boolean,
): postgres.TransactionSql {
  const refuse = (): void => {
    if (!isOver()) return;
    const message = "the transaction is over: its connection is gone, or it was given up";
    throw Object.assign(new Error(message), { code: "CONNECTION_CLOSED" });
  };
  return new Proxy(transaction, {
    apply(target, self, args) {
      refuse();
      return Reflect.apply(target, self, args) as unknown;
    },
    get(target, name) {
      refuse();
      return Reflect.get(target, name) as unknown;
    },
  });
}
