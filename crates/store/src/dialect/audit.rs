//! Triggers on PostgreSQL that tell the event log of changes made past the product: somebody with `psql`, another program.

/// What the function and its triggers are called.
const FUNCTION: &str = "note_direct_change";

/// Writes an event of the kind `database.changed`. It runs as the owner of the schema, whose own policy lets it insert such
/// events and nothing else. Bytes and whatever is named like a secret are told as changed, without their values; long values
/// likewise.
pub(crate) const MAKE_FUNCTION: &str = r"
CREATE OR REPLACE FUNCTION synapscale_db.note_direct_change() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = synapscale_db, pg_temp AS $f$
DECLARE
  old_row jsonb := CASE WHEN TG_OP IN ('UPDATE', 'DELETE') THEN to_jsonb(OLD) END;
  new_row jsonb := CASE WHEN TG_OP IN ('INSERT', 'UPDATE') THEN to_jsonb(NEW) END;
  row_now jsonb := coalesce(new_row, old_row, '{}');
  table_name text := regexp_replace(TG_TABLE_NAME, '_p[0-9]+$', '');
  field text;
  hidden boolean;
  changed jsonb := '{}';
BEGIN
  FOR field IN SELECT jsonb_object_keys(row_now) LOOP
    IF (old_row -> field) IS DISTINCT FROM (new_row -> field) THEN
      hidden := field ~ '(password|secret|token|hash|sealed|backup_codes)'
        OR length(coalesce(old_row ->> field, '')) + length(coalesce(new_row ->> field, '')) > 8000
        OR EXISTS (SELECT FROM pg_attribute
                   WHERE attrelid = TG_RELID AND attname = field AND atttypid = 'bytea'::regtype);
      changed := changed || jsonb_build_object(field, CASE
        WHEN hidden THEN jsonb_build_object('before', to_jsonb('[hidden]'::text), 'after', to_jsonb('[hidden]'::text))
        ELSE jsonb_build_object('before', coalesce(old_row -> field, 'null'), 'after', coalesce(new_row -> field, 'null'))
      END);
    END IF;
  END LOOP;
  INSERT INTO synapscale_db.events
    (tenant_id, id, kind, version, subject, actor_kind, actor_id, channel, ip, changes, data, at, correlation)
  VALUES (
    coalesce((row_now ->> 'tenant_id')::uuid, '00000000-0000-0000-0000-000000000001'),
    gen_random_uuid(), 'database.changed', 1,
    regexp_replace(table_name, 's$', '') || ':' || coalesce(row_now ->> 'id', '00000000-0000-0000-0000-000000000000'),
    'system', '00000000-0000-0000-0000-000000000000', 'sql', host(inet_client_addr()), changed,
    jsonb_build_object('table', table_name, 'statement', lower(TG_OP), 'database_user', session_user,
      'application', nullif(current_setting('application_name', true), '')),
    clock_timestamp(), gen_random_uuid());
  RETURN NULL;
END $f$";

/// Lets the owner, as whom the function runs, insert its events.
pub(crate) const MAKE_POLICY: &str = "
DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_policies
                 WHERE schemaname = 'synapscale_db' AND tablename = 'events' AND policyname = 'events_direct'
                   AND roles = ARRAY[current_user]::name[]) THEN
    -- Restored under another login, it is another role's.
    DROP POLICY IF EXISTS events_direct ON synapscale_db.events;
    CREATE POLICY events_direct ON synapscale_db.events FOR INSERT TO CURRENT_USER
      WITH CHECK (kind = 'database.changed');
  END IF;
END $$";

/// Tables that are not watched yet. Those of the migrations are the product's own bookkeeping.
pub(crate) const UNWATCHED: &str = "
SELECT c.relname::text
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'synapscale_db' AND c.relkind IN ('r', 'p') AND NOT c.relispartition
  AND c.relname <> 'schema_migrations'
  AND NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgname = 'note_direct_change')
ORDER BY 1";

/// The triggers of one table. What the product does names its tenant in a setting of the transaction, also where a foreign
/// key cascades as the table's owner; what anybody else does does not. Of the log itself only what should never happen is
/// told: a row that is changed or goes away.
pub(crate) fn watch(table: &str) -> [String; 2] {
    let events = match table {
        "events" => "UPDATE OR DELETE",
        _ => "INSERT OR UPDATE OR DELETE",
    };
    let outside = "WHEN (coalesce(current_setting('app.tenant_id', true), '') = '')";
    [
        format!(
            "CREATE TRIGGER {FUNCTION} AFTER {events} ON synapscale_db.{table} FOR EACH ROW {outside} \
             EXECUTE FUNCTION synapscale_db.{FUNCTION}()"
        ),
        format!(
            "CREATE TRIGGER {FUNCTION}_truncate AFTER TRUNCATE ON synapscale_db.{table} FOR EACH STATEMENT {outside} \
             EXECUTE FUNCTION synapscale_db.{FUNCTION}()"
        ),
    ]
}
