// The only way to run a transaction. It ends when its connection is lost or its caller's deadline passes. The `postgres` package lets the
// code of such a transaction continue. Its next statement then fails outside of any promise, which ends the process; or it runs on a new
// connection, outside of any transaction. This file prevents both. Must never commit a transaction whose caller was told that it failed.
import { setImmediate as nextTurn } from "node:timers/promises";
import type postgres from "postgres";

type Work = (sql: postgres.TransactionSql) => unknown;

export type Isolation = "isolation level repeatable read, read only";

/**
 * Runs `work` in a transaction. `late` rejects when the caller's deadline has passed: the transaction is then rolled back, also if it
 * only gets its connection after that. Only a commit already sent may still take effect.
 */
export async function transact<T>(
  sql: postgres.Sql,
  work: (sql: postgres.TransactionSql) => Promise<T>,
  { late, isolation = "" }: { late?: Promise<never>; isolation?: Isolation | "" } = {},
): Promise<T> {
  // Wrapped in an object, since the package treats an array as a list of queries.
  const { value } = await sql.begin(isolation, async (transaction) => {
    if (late === undefined) return { value: await work(transaction) };
    await Promise.race([late, Promise.resolve()]);
    return { value: await Promise.race([work(transaction), late]) };
  });
  return value;
}

/** Changes `sql` so that a statement in a transaction that has ended throws, and is never sent. */
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
        // The package reports a lost connection only after it has rejected the running statements.
        await nextTurn();
        throw error;
      } finally {
        state.isOver = true;
        // Never return, or the package would send `commit` or `rollback`.
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

/** The transaction, guarded: using it throws once `isOver` is true. */
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
      return withoutStack(Reflect.apply(target, self, args) as unknown);
    },
    get(target, name) {
      refuse();
      return Reflect.get(target, name) as unknown;
    },
  });
}

/**
 * The same client, whose statements keep nothing of their first caller. The package makes an Error for each statement in the code and
 * keeps it for good. Until its stack is read as text, V8 keeps the functions on it, and all that they can see: the first key that was
 * saved would stay in memory.
 */
export function releaseStacks(sql: postgres.Sql): postgres.Sql {
  return new Proxy(sql, {
    apply: (target, self, args) => withoutStack(Reflect.apply(target, self, args) as unknown),
  });
}

function withoutStack(statement: unknown): unknown {
  if (statement instanceof Promise) Reflect.get(statement, "origin"); // it makes the stack a text
  return statement;
}
