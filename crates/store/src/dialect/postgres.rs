//! PostgreSQL's own statements.

use sqlx::AssertSqlSafe;
use sqlx::postgres::PgConnection;
use synapscale_core::{Ctx, Privilege, TenantId};

/// The schema that holds every table.
pub(crate) const SCHEMA: &str = "synapscale_db";
/// Sees one tenant's rows.
pub(crate) const APP_ROLE: &str = "synapscale_app";
/// Sees all tenants' rows where a table's policy lets it.
pub(crate) const SYSTEM_ROLE: &str = "synapscale_system";
/// The setting that names the tenant of the transaction.
pub(crate) const TENANT_SETTING: &str = "app.tenant_id";

/// The oldest server version that is accepted, as `server_version_num`.
pub(crate) const MIN_VERSION: i32 = 150_000;
pub(crate) const VERSION: &str = "SELECT current_setting('server_version_num')::int";

/// Makes the two roles, which own nothing, and lets this login become them. Safe to run at once from many processes.
pub(crate) const ROLES: &str = "
DO $$
DECLARE wanted text;
BEGIN
  PERFORM pg_advisory_xact_lock(7213465019);
  FOREACH wanted IN ARRAY ARRAY['synapscale_app', 'synapscale_system'] LOOP
    BEGIN
      IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
        EXECUTE format('CREATE ROLE %I NOLOGIN NOSUPERUSER NOBYPASSRLS NOINHERIT', wanted);
      END IF;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
    END;
    BEGIN
      IF NOT pg_has_role(current_user, wanted, 'MEMBER') THEN
        EXECUTE format('GRANT %I TO %I', wanted, current_user);
      END IF;
    EXCEPTION WHEN unique_violation THEN NULL;
    END;
  END LOOP;
END $$";

pub(crate) const MAKE_SCHEMA: &str = "
CREATE SCHEMA IF NOT EXISTS synapscale_db;
GRANT USAGE ON SCHEMA synapscale_db TO synapscale_app, synapscale_system";

/// Held while migrations run, so that two servers starting at once do it one after the other.
pub(crate) const MIGRATION_LOCK: &str = "SET statement_timeout = 0; SELECT pg_advisory_lock(7213465020)";
pub(crate) const MIGRATION_UNLOCK: &str = "SELECT pg_advisory_unlock(7213465020); RESET statement_timeout";

/// Begins what only the owner does. It may take long, but not wait long for a lock: behind one that waits, everybody does.
pub(crate) const BEGIN_OWNER: &str = "BEGIN; SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '3s'";

/// Roles that may pass over row security although they must not.
pub(crate) const UNSAFE_ROLES: &str = "
SELECT rolname FROM pg_roles
WHERE rolname IN ('synapscale_app', 'synapscale_system') AND (rolsuper OR rolbypassrls)";

/// Tables of the schema whose row security is not both enabled and forced, or that have no policy at all, or that hold a
/// tenant column without the tenant's policy for the app role.
pub(crate) const UNPROTECTED: &str = "
SELECT c.relname::text
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'synapscale_db' AND c.relkind IN ('r', 'p') AND c.relname <> 'schema_migrations'
  AND (NOT c.relrowsecurity OR NOT c.relforcerowsecurity
    OR NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid)
    OR (EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id')
        AND NOT EXISTS (
          SELECT FROM pg_policy p
          WHERE p.polrelid = c.oid AND p.polcmd = '*' AND p.polpermissive
            AND p.polroles = ARRAY[(SELECT oid FROM pg_roles WHERE rolname = 'synapscale_app')]
            AND pg_get_expr(p.polqual, p.polrelid) LIKE '%tenant_id = ( SELECT%app.tenant_id%'
            AND pg_get_expr(p.polwithcheck, p.polrelid) LIKE '%tenant_id = ( SELECT%app.tenant_id%'))
    OR EXISTS (
      SELECT FROM pg_policy p
      WHERE p.polrelid = c.oid
        AND NOT (p.polroles = ARRAY[(SELECT oid FROM pg_roles WHERE rolname = 'synapscale_system')])
        -- Read-only tables without a tenant that everybody may read.
        AND c.relname <> 'consumer_groups'
        AND pg_get_expr(p.polqual, p.polrelid) NOT LIKE '%app.tenant_id%'))
ORDER BY 1";

pub(crate) const TABLES: &str = "
SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'synapscale_db' AND c.relkind IN ('r', 'p') AND NOT c.relispartition";

/// Columns of one table: name, type, not-null flag, place in the primary key (0 for none).
pub(crate) const COLUMNS: &str = "
SELECT a.attname::text, format_type(a.atttypid, a.atttypmod), a.attnotnull,
       coalesce(array_position(i.indkey::int2[], a.attnum), -1)::int + 1
FROM pg_attribute a
JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
WHERE n.nspname = 'synapscale_db' AND c.relname = $1 AND a.attnum > 0 AND NOT a.attisdropped";

/// Whether a transaction whose COMMIT got no answer took place.
pub(crate) const XACT_STATUS: &str = "SELECT pg_xact_status($1::text::xid8)";

pub(crate) const NOW: &str = "SELECT clock_timestamp()";

pub(crate) const ADVISORY_LOCK: &str = "SELECT pg_advisory_xact_lock(hashtextextended($1, 7213465021))";
pub(crate) const ADVISORY_LOCK_SHARED: &str =
    "SELECT pg_advisory_xact_lock_shared(hashtextextended($1, 7213465021))";

/// The server's clock plus `ahead`.
pub(crate) fn time_in(ahead: chrono::Duration) -> sea_orm::sea_query::SimpleExpr {
    let millis = ahead.num_milliseconds();
    sea_orm::sea_query::Expr::cust(format!("(clock_timestamp() + interval '{millis} milliseconds')"))
}

/// First statements of a write: role, tenant, and the transaction's id in the same round trip.
pub(crate) fn begin_write(ctx: &Ctx) -> String {
    format!("BEGIN; {}, pg_current_xact_id()::text", enter(ctx))
}

/// First statements of a read, which sees one snapshot throughout.
pub(crate) fn begin_read(ctx: &Ctx) -> String {
    format!("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {}", enter(ctx))
}

fn enter(ctx: &Ctx) -> String {
    let role = match ctx.privilege() {
        Privilege::Tenant => APP_ROLE,
        Privilege::System => SYSTEM_ROLE,
    };
    // Both parts are ours: a fixed name and a UUID in its hyphenated form.
    let TenantId(tenant) = ctx.tenant();
    format!("SET LOCAL ROLE {role}; SELECT set_config('{TENANT_SETTING}', '{tenant}', true)")
}

/// Runs one or more statements that take no values.
pub(crate) async fn run(conn: &mut PgConnection, sql: &str) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(conn).await.map(|_| ())
}
