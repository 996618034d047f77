// An audit that takes no event: a trigger, made by the superuser, that raises whenever one is inserted.
import { withOwner } from "../../src/db/connection.ts";

/** From now on no event can be written; gives the way to heal it. */
export async function breakAudit(ownerUrl: string): Promise<() => Promise<void>> {
  await withOwner(ownerUrl, async (sql) => {
    await sql`create function public.refuse_event() returns trigger language plpgsql as $$
      begin raise exception 'no room in the audit'; end $$`;
    await sql`create trigger a_refuse before insert on x3sproxy.audit_events
      for each row execute function public.refuse_event()`;
  });
  return () =>
    withOwner(ownerUrl, async (sql) => {
      await sql`drop trigger a_refuse on x3sproxy.audit_events`;
      await sql`drop function public.refuse_event()`;
    });
}
