// What Postgres lets everybody do that the service's logins have no use for, taken from everybody: large objects, advisory locks, ends of
// others' work, messages into the write-ahead log. For the embedded database alone, which is only ours; in another it would be taken
// from other applications, and needs a superuser (docs/threat-model.md).
import { withOwner } from "./connection.ts";

/** As the superuser of a migrated database. Does nothing when it was done before. */
export function confineEverybody(ownerUrl: string): Promise<void> {
  return withOwner(ownerUrl, async (sql) => {
    await sql
      .unsafe(
        `
        do $$
        declare f regprocedure;
        begin
          for f in
            select p.oid from pg_catalog.pg_proc p
            where p.pronamespace = 'pg_catalog'::regnamespace and has_function_privilege('public', p.oid, 'execute')
              and (p.proname ~ '^(lo_|pg_(try_)?advisory_)' or p.proname in ('loread', 'lowrite', 'pg_cancel_backend',
                'pg_terminate_backend', 'pg_logical_emit_message', 'pg_export_snapshot'))
          loop
            execute format('revoke execute on function %s from public', f);
          end loop;
        end $$;
        grant execute on function pg_catalog.pg_advisory_xact_lock(bigint), pg_catalog.pg_try_advisory_xact_lock(bigint)
          to x3sproxy_control`,
      )
      .simple();
  });
}
