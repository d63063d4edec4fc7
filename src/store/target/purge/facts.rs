//! What PostgreSQL's catalog says about a table that is to be purged.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use sea_orm::{ConnectionTrait, DbBackend, Statement, Value};

use super::{Cutoffs, Expiry, InstantForm};
use crate::store::StoreError;

/// One heap: the table itself, or a partition of it.
#[derive(Clone, Debug)]
pub(super) struct Leaf {
    pub(super) oid: i64,
    /// As a statement may name it, quoted where it has to be.
    pub(super) name: String,
    /// An estimate.
    pub(super) rows_per_page: f64,
    /// Whether this user may drop and vacuum it.
    pub(super) owned: bool,
    /// The table whose partition it is, when that is the table of the expiry.
    pub(super) part_of: Option<String>,
    /// Of a partition by the column with the instant: none of its rows is before this.
    pub(super) from: Option<DateTime<Utc>>,
    /// All its rows are before this.
    pub(super) before: Option<DateTime<Utc>>,
}

/// A table of PostgreSQL.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) version: i32,
    pub(super) page_bytes: i64,
    /// The type of the column with the instant.
    pub(super) column: String,
    /// The type of the column that chooses the cutoff; empty without one.
    pub(super) chooser: String,
    /// In the order of their names.
    pub(super) leaves: Vec<Leaf>,
    pub(super) is_partitioned: bool,
    /// Whether it is partitioned by ranges of the column with the instant.
    pub(super) is_by_time: bool,
    /// Whether this user may detach its partitions.
    pub(super) owned: bool,
    pub(super) rows: f64,
    pub(super) pages: f64,
    /// An index that finds due rows.
    pub(super) index: Option<String>,
}

const LEAVES: &str = r#"
    WITH RECURSIVE tree AS (SELECT to_regclass($1)::oid AS oid
      UNION ALL SELECT i.inhrelid FROM pg_inherits i JOIN tree ON i.inhparent = tree.oid WHERE NOT i.inhdetachpending)
    SELECT c.oid::int8 AS "oid", c.oid::regclass::text AS "name", c.relkind::text AS "kind", c.oid = to_regclass($1) AS "root", c.relpages::float8 AS "pages",
      c.reltuples::float8 AS "rows", pg_has_role(c.relowner, 'USAGE') AS "owned", c.relispartition AND i.inhparent = to_regclass($1) AS "child",
      p.partstrat = 'r' AND p.partnatts = 1 AND p.partattrs[0] = (SELECT attnum FROM pg_attribute WHERE attrelid = c.oid AND attname = $2) AS "by_time",
      substring(pg_get_expr(c.relpartbound, c.oid) FROM 'TO \(''([^'']*)''\)$') AS "before",
      substring(pg_get_expr(c.relpartbound, c.oid) FROM 'FROM \(''([^'']*)''\) TO') AS "from",
      current_setting('server_version_num')::int4 AS "version", current_setting('block_size')::int8 AS "page_bytes"
    FROM tree JOIN pg_class c ON c.oid = tree.oid LEFT JOIN pg_inherits i ON i.inhrelid = c.oid AND i.inhparent = to_regclass($1)
    LEFT JOIN pg_partitioned_table p ON p.partrelid = c.oid ORDER BY 2"#;

const TYPES: &str = r#"
    SELECT a.attname::text AS "name", b.typname::text AS "type" FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
    JOIN pg_type b ON b.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END
    WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped"#;

const INDEX: &str = r#"
    SELECT x.relname::text AS "name" FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_am m ON m.oid = x.relam
    WHERE i.indrelid = to_regclass($1) AND i.indisvalid AND i.indpred IS NULL AND m.amname = 'btree' AND i.indnkeyatts >= cardinality($2::text[])
      AND $2::text[] = ARRAY(SELECT a.attname::text FROM generate_series(0, cardinality($2::text[]) - 1) k
        JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[k] AND a.attnum <> 0 ORDER BY k)
    ORDER BY i.indnkeyatts, 1 LIMIT 1"#;

const REFERENCES: &str = r#"
    WITH RECURSIVE tree AS (SELECT to_regclass($1)::oid AS oid
      UNION ALL SELECT i.inhrelid FROM pg_inherits i JOIN tree ON i.inhparent = tree.oid)
    SELECT c.conrelid::regclass::text AS "table" FROM pg_constraint c WHERE c.contype = 'f' AND c.conparentid = 0
      AND c.confrelid IN (SELECT oid FROM tree) AND c.confdeltype IN ('c', 'n', 'd') ORDER BY 1 LIMIT 1"#;

/// The instant in a partition's bound, as the server wrote it.
fn bound(form: InstantForm, text: &str) -> Option<DateTime<Utc>> {
    let number = |unit: i64| DateTime::from_timestamp_micros(text.parse::<i64>().ok()?.checked_mul(unit)?);
    match form {
        InstantForm::UnixMillis => return number(1_000),
        InstantForm::UnixSeconds => return number(1_000_000),
        InstantForm::IsoText => return None,
        InstantForm::Timestamp => {}
    }
    let text = text.replacen(' ', "T", 1);
    let zoned = DateTime::parse_from_str(&text, "%Y-%m-%dT%H:%M:%S%.f%#z").map(|at| at.to_utc()).ok();
    let naive = || NaiveDateTime::parse_from_str(&text, "%Y-%m-%dT%H:%M:%S%.f").map(|at| at.and_utc()).ok();
    let day = || Some(NaiveDate::parse_from_str(&text, "%Y-%m-%d").ok()?.and_time(NaiveTime::MIN).and_utc());
    zoned.or_else(naive).or_else(day)
}

impl Facts {
    /// Reads them.
    pub(super) async fn read(conn: &impl ConnectionTrait, expiry: &Expiry) -> Result<Self, StoreError> {
        let unfit = |why: String| StoreError::Unpurgeable { table: expiry.table.as_str().to_owned(), why };
        let table = expiry.table.to_string();
        let ask = |sql: &'static str, values: Vec<Value>| {
            conn.query_all_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values))
        };
        let rows = ask(LEAVES, vec![table.as_str().into(), expiry.column.as_str().into()]).await?;
        let mut facts = Self {
            version: 0,
            page_bytes: 8192,
            column: String::new(),
            chooser: String::new(),
            leaves: Vec::new(),
            is_partitioned: false,
            is_by_time: false,
            owned: false,
            rows: 0.0,
            pages: 0.0,
            index: None,
        };
        let chooser = match &expiry.cutoffs {
            Cutoffs::All(_) => None,
            Cutoffs::ByShop { column, .. } | Cutoffs::ByClass { column, .. } => Some(column.as_str()),
        };
        let mut types = std::collections::BTreeMap::new();
        for row in ask(TYPES, vec![table.as_str().into()]).await? {
            types.insert(row.try_get::<String>("", "name")?, row.try_get::<String>("", "type")?);
        }
        let of = |name: &str| types.get(name).cloned().ok_or_else(|| unfit(format!("it has no column \"{name}\"")));
        facts.column = of(expiry.column.as_str())?;
        facts.chooser = chooser.map_or(Ok(String::new()), of)?;
        for row in rows {
            (facts.version, facts.page_bytes) = (row.try_get("", "version")?, row.try_get("", "page_bytes")?);
            let (kind, name): (String, String) = (row.try_get("", "kind")?, row.try_get("", "name")?);
            let is_by_time = row.try_get::<Option<bool>>("", "by_time")?.unwrap_or(false);
            let is_child = row.try_get::<Option<bool>>("", "child")?.unwrap_or(false);
            match kind.as_str() {
                "p" => {
                    // Partitions of partitions are worked by pages.
                    facts.is_partitioned = true;
                    if row.try_get("", "root")? {
                        facts.is_by_time = is_by_time;
                        facts.owned = row.try_get("", "owned")?;
                    }
                    continue;
                }
                "r" => {}
                "f" => return Err(unfit(format!("{name} lies in another database"))),
                _ => return Err(unfit("it is no table".to_owned())),
            }
            let (pages, rows): (f64, f64) = (row.try_get("", "pages")?, row.try_get("", "rows")?);
            (facts.pages, facts.rows) = (facts.pages + pages, facts.rows + rows.max(0.0));
            let bound = |name: &str| -> Result<Option<DateTime<Utc>>, StoreError> {
                let text: Option<String> = row.try_get("", name)?;
                Ok(text.filter(|_| is_child).and_then(|text| bound(expiry.form, &text)))
            };
            facts.leaves.push(Leaf {
                oid: row.try_get("", "oid")?,
                name,
                // What was never analysed: about a hundred bytes a row.
                rows_per_page: if pages > 0.0 && rows > 0.0 { rows / pages } else { 80.0 },
                owned: row.try_get("", "owned")?,
                part_of: is_child.then(|| table.clone()),
                from: bound("from")?,
                before: bound("before")?,
            });
        }
        if !facts.is_by_time {
            facts.leaves.iter_mut().for_each(|leaf| (leaf.from, leaf.before) = (None, None));
        }
        facts.leaves.sort_by(|a, b| a.name.cmp(&b.name));
        if facts.version < 140_000 {
            return Err(unfit("ranges of pages take PostgreSQL 14 or later".to_owned()));
        }
        let columns = chooser.into_iter().chain([expiry.column.as_str()]).map(Value::from).collect();
        let columns = Value::Array(sea_orm::sea_query::ArrayType::String, Some(Box::new(columns)));
        if let Some(row) = ask(INDEX, vec![table.as_str().into(), columns]).await?.first() {
            facts.index = Some(row.try_get("", "name")?);
        }
        if let Some(row) = ask(REFERENCES, vec![table.as_str().into()]).await?.first() {
            let other: String = row.try_get("", "table")?;
            return Err(unfit(format!("deleting them would delete or change rows of {other}, which refer to them")));
        }
        Ok(facts)
    }

    /// How many pages a heap has by now.
    pub(super) async fn pages_of(&self, conn: &impl ConnectionTrait, leaf: &Leaf) -> Result<u32, StoreError> {
        let sql = r#"SELECT COALESCE(pg_relation_size($1::oid::regclass), 0) AS "bytes""#;
        let values = [Value::from(leaf.oid)];
        let row = conn.query_one_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values)).await?;
        let bytes = row.map_or(Ok(0), |row| row.try_get::<i64>("", "bytes"))?;
        Ok(u32::try_from(bytes / self.page_bytes.max(1)).unwrap_or(u32::MAX))
    }
}
