//! Tables that are made anew beside the old ones, and in the end put in their place.
//!
//! Whoever comes after the swap must not notice: the serving role's grants, the names that a later migration uses, the
//! fill factor. `CREATE TABLE … (LIKE … INCLUDING ALL)` alone keeps none of these three (grants come from default
//! privileges, which only the schema `public` has; indexes and keys get names of Postgres' choice), so they are copied
//! here. What is not copied is found by comparing the two tables' [`shape`], once when they are made, and again under
//! the locks of the swap, where it also finds a migration that came in between.

use sqlx::{AssertSqlSafe, PgConnection};

/// A name as it stands in a statement.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Runs statements that are made of quoted names and of what the catalog itself says.
pub(crate) async fn execute(conn: &mut PgConnection, sql: String) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(conn).await.map(drop)
}

/// Lets names without a schema mean those of `schema`, then those of `public`, until the transaction ends.
async fn look_into_in_tx(conn: &mut PgConnection, schema: &str) -> Result<(), sqlx::Error> {
    execute(conn, format!("SET LOCAL search_path = {}, public", quoted(schema))).await
}

/// Makes in `schema` each of these tables of `public`: empty, and otherwise the same. Grants included; comments on tables and
/// indexes are not.
pub(crate) async fn make_in_tx(conn: &mut PgConnection, schema: &str, tables: &[&str]) -> Result<(), sqlx::Error> {
    let target = quoted(schema);
    // definitions name other tables of `public` without their schema, so that they then mean those in `schema`
    look_into_in_tx(conn, "public").await?;
    let definitions = definitions(conn, tables).await?;
    for table in tables {
        let (table, options) = (quoted(table), storage_options(conn, table).await?);
        execute(
            conn,
            format!(
                "CREATE TABLE {target}.{table} (LIKE public.{table} INCLUDING ALL EXCLUDING INDEXES EXCLUDING STATISTICS)
                 {options}"
            ),
        )
        .await?;
    }
    look_into_in_tx(conn, schema).await?;
    for definition in definitions {
        execute(conn, definition).await?;
    }
    for grant in grants(conn, schema, tables).await? {
        execute(conn, grant).await?;
    }
    Ok(())
}

/// `WITH (fillfactor = …)`, when there is one.
async fn storage_options(conn: &mut PgConnection, table: &str) -> Result<String, sqlx::Error> {
    let options: Option<Option<String>> = sqlx::query_scalar(
        "SELECT 'WITH (' || array_to_string(reloptions, ', ') || ')' FROM pg_class
         WHERE oid = to_regclass('public.' || quote_ident($1))",
    )
    .bind(table)
    .fetch_optional(conn)
    .await?;
    Ok(options.flatten().unwrap_or_default())
}

/// The statements that make keys and indexes, under the names that they have; references come last.
async fn definitions(conn: &mut PgConnection, tables: &[&str]) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(
        "WITH wanted AS (
             SELECT oid, relname FROM pg_class
             WHERE relname = ANY ($1) AND relnamespace = 'public'::regnamespace)
         SELECT definition FROM (
             SELECT CASE contype WHEN 'f' THEN 2 ELSE 0 END AS turn, conname AS name,
                 format('ALTER TABLE %I ADD CONSTRAINT %I %s', relname, conname, pg_get_constraintdef(c.oid, true))
                     AS definition
             FROM pg_constraint c JOIN wanted ON wanted.oid = conrelid WHERE contype IN ('p', 'u', 'x', 'f')
             UNION ALL
             SELECT 1, indexrelid::regclass::text, pg_get_indexdef(indexrelid, 0, true)
             FROM pg_index JOIN wanted ON wanted.oid = indrelid
             WHERE NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid AND contype IN ('p', 'u', 'x'))
         ) AS all_of_them ORDER BY turn, name",
    )
    .bind(tables)
    .fetch_all(conn)
    .await
}

/// The statements that grant on the tables in `schema`, and on the sequences of their identity columns, what is granted on
/// those in `public`.
async fn grants(conn: &mut PgConnection, schema: &str, tables: &[&str]) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(
        "WITH wanted AS (
             SELECT oid, relname, relacl, relowner, 'TABLE' AS kind FROM pg_class
             WHERE relname = ANY ($2) AND relnamespace = 'public'::regnamespace
         ), granted_on AS (
             SELECT relname, relacl, relowner, kind FROM wanted
             UNION ALL
             SELECT sequence.relname, sequence.relacl, sequence.relowner, 'SEQUENCE'
             FROM pg_depend
             JOIN wanted ON refobjid = wanted.oid AND refclassid = 'pg_class'::regclass AND deptype = 'i'
             JOIN pg_class AS sequence ON sequence.oid = objid AND sequence.relkind = 'S'
         )
         SELECT format('GRANT %s ON %s %I.%I TO %s%s', privilege_type, kind, $1, relname,
             CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END,
             CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
         FROM granted_on CROSS JOIN LATERAL aclexplode(relacl) WHERE grantee <> relowner",
    )
    .bind(schema)
    .bind(tables)
    .fetch_all(conn)
    .await
}

/// The first thing by which a table in `schema` differs from the one in `public`: what cannot be copied, or was changed
/// meanwhile. `None`: nothing does.
pub(crate) async fn difference_in_tx(
    conn: &mut PgConnection,
    schema: &str,
    table: &str,
) -> Result<Option<String>, sqlx::Error> {
    let before = shape(conn, "public", table).await?;
    let after = shape(conn, schema, table).await?;
    let missing = before.iter().find(|line| !after.contains(line));
    let added = after.iter().find(|line| !before.contains(line));
    Ok(missing.or(added).cloned())
}

/// All that the catalog knows about a table, in words without its schema; empty when there is no such table.
async fn shape(conn: &mut PgConnection, schema: &str, table: &str) -> Result<Vec<String>, sqlx::Error> {
    look_into_in_tx(conn, schema).await?;
    sqlx::query_scalar(
        "WITH this AS (SELECT * FROM pg_class WHERE oid = to_regclass(quote_ident($1) || '.' || quote_ident($2)))
         SELECT concat_ws(' ', 'table:', 'kind', relkind, 'persistence', relpersistence, 'options', reloptions::text,
             'row security', relrowsecurity, relforcerowsecurity, 'identity', relreplident, 'partition', relispartition,
             'owner', relowner::regrole) FROM this
         UNION ALL
         SELECT concat_ws(' ', 'grant:', grant_line.*) FROM this, aclexplode(relacl) AS grant_line
         UNION ALL
         SELECT concat_ws(' ', 'column', row_number() OVER (ORDER BY attnum) || ':', attname,
             format_type(atttypid, atttypmod), 'not null', attnotnull, 'default', pg_get_expr(adbin, adrelid),
             'identity', attidentity, 'generated', attgenerated, 'collation', attcollation, 'storage', attstorage,
             'compression', attcompression, 'grants', attacl::text)
         FROM this JOIN pg_attribute ON attrelid = this.oid AND attnum > 0 AND NOT attisdropped
         LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
         UNION ALL
         SELECT concat_ws(' ', 'constraint', conname || ':', pg_get_constraintdef(c.oid, true), convalidated)
         FROM this JOIN pg_constraint c ON conrelid = this.oid WHERE contype <> 't'
         UNION ALL
         SELECT concat_ws(' ', 'index:', pg_get_indexdef(indexrelid, 0, true), indisvalid, indisclustered, indisreplident)
         FROM this JOIN pg_index ON indrelid = this.oid
         UNION ALL
         SELECT 'sequence ' || concat_ws(' ', sequence.relname, deptype, pg_get_userbyid(grantee), privilege_type)
         FROM this JOIN pg_depend ON refobjid = this.oid AND refclassid = 'pg_class'::regclass AND deptype IN ('i', 'a')
         JOIN pg_class AS sequence ON sequence.oid = objid AND sequence.relkind = 'S'
         LEFT JOIN LATERAL aclexplode(sequence.relacl) ON true
         UNION ALL
         SELECT 'trigger ' || tgname FROM this JOIN pg_trigger ON tgrelid = this.oid WHERE NOT tgisinternal
         UNION ALL
         SELECT 'policy ' || polname FROM this JOIN pg_policy ON polrelid = this.oid
         UNION ALL
         SELECT 'statistics ' || stxname FROM this JOIN pg_statistic_ext ON stxrelid = this.oid
         UNION ALL
         SELECT 'inheritance' FROM this JOIN pg_inherits ON this.oid IN (inhrelid, inhparent)
         UNION ALL
         SELECT 'a reference from table ' || from_table.relname FROM this
         JOIN pg_constraint ON confrelid = this.oid AND contype = 'f' JOIN pg_class AS from_table ON from_table.oid = conrelid
         UNION ALL
         SELECT DISTINCT 'view or rule on ' || view.relname FROM this
         JOIN pg_depend ON refobjid = this.oid AND refclassid = 'pg_class'::regclass AND classid = 'pg_rewrite'::regclass
         JOIN pg_rewrite ON pg_rewrite.oid = objid JOIN pg_class AS view ON view.oid = ev_class",
    )
    .bind(schema)
    .bind(table)
    .fetch_all(conn)
    .await
}
