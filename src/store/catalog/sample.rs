//! Looks at a bounded number of rows, and tells only what form the values have: never a value.
//!
//! Of a text it says "this many look like an e-mail address", of a JSON document which keys it has. Keys are told only
//! when they are plain names: a document keyed by e-mail addresses gives none of them away.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{ConnectionTrait, DbBackend, QueryResult, Statement};
use serde::Serialize;

use super::super::StoreError;
use super::{Catalog, Column, Dialect, Family, Table, TableKind, quoted};

/// Rows of a table that are looked at.
pub const ROWS_MAX: u32 = 200;
/// Documents of a JSON column that are looked at.
pub const DOCUMENTS_MAX: u32 = 50;
/// Keys within keys that are followed.
const DEPTH_MAX: usize = 6;
/// Columns asked about in one statement.
const COLUMNS_AT_ONCE: usize = 40;

/// What a value looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    Email,
    ShopDomain,
    /// `gid://shopify/Order/…`
    OrderGid,
    /// `gid://shopify/Customer/…`
    CustomerGid,
    /// 64 hexadecimal digits.
    Sha256,
    /// A JSON object or array, as text.
    Json,
    /// `2026-11-21T…`
    IsoInstant,
    /// `2026-11-21 …`, or a date alone.
    SqlInstant,
    /// A whole number as big as milliseconds since 1970 are.
    UnixMilliseconds,
    /// A whole number as big as seconds since 1970 are.
    UnixSeconds,
}

impl Form {
    const ALL: [Self; 10] = [
        Self::Email,
        Self::ShopDomain,
        Self::OrderGid,
        Self::CustomerGid,
        Self::Sha256,
        Self::Json,
        Self::IsoInstant,
        Self::SqlInstant,
        Self::UnixMilliseconds,
        Self::UnixSeconds,
    ];

    /// The condition that the value `v` has this form.
    fn condition(self, dialect: Dialect, v: &str) -> String {
        let sqlite = dialect == Dialect::Sqlite;
        let matches = |pattern: &str| format!("{v} ~ '{pattern}'");
        match self {
            Self::Email => format!("{v} LIKE '%_@_%.__%' AND {v} NOT LIKE '% %'"),
            Self::ShopDomain => format!("{v} LIKE '%.myshopify.com'"),
            Self::OrderGid => format!("{v} LIKE 'gid://shopify/Order/%'"),
            Self::CustomerGid => format!("{v} LIKE 'gid://shopify/Customer/%'"),
            Self::Sha256 if sqlite => format!("length({v}) = 64 AND {v} NOT GLOB '*[^0-9a-fA-F]*'"),
            Self::Sha256 => matches("^[0-9a-fA-F]{64}$"),
            Self::Json => format!("{v} LIKE '{{%}}' OR {v} LIKE '[%]'"),
            Self::IsoInstant => format!("{v} LIKE '____-__-__T__:%'"),
            Self::SqlInstant => format!("{v} LIKE '____-__-__' OR {v} LIKE '____-__-__ __:%'"),
            Self::UnixMilliseconds if sqlite => {
                format!("typeof({v}) = 'integer' AND {v} BETWEEN 100000000000 AND 99999999999999")
            }
            Self::UnixMilliseconds => matches("^[0-9]{12,14}$"),
            Self::UnixSeconds if sqlite => {
                format!("typeof({v}) = 'integer' AND {v} BETWEEN 100000000 AND 99999999999")
            }
            Self::UnixSeconds => matches("^[0-9]{9,11}$"),
        }
    }
}

/// What a column's values look like, as far as they were looked at.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ColumnSample {
    /// Values that were not null.
    pub seen: u64,
    /// How many of them have each form; those that none has are left out.
    pub forms: BTreeMap<Form, u64>,
    /// The paths to the values within JSON documents: `customer.email`, `orders[*].id`.
    pub json_paths: Vec<String>,
}

impl ColumnSample {
    /// Whether at least nine of ten values have this form.
    pub fn is_mostly(&self, form: Form) -> bool {
        let having = self.forms.get(&form).copied().unwrap_or(0);
        having > 0 && having * 10 >= self.seen * 9
    }
}

/// Samples by table and column.
#[derive(Clone, Debug, Default)]
pub struct Samples(BTreeMap<(String, String), ColumnSample>);

impl Samples {
    /// What is known of a column; nothing when no row was looked at.
    pub fn of(&self, table: &str, column: &str) -> Option<&ColumnSample> {
        self.0.get(&(table.to_owned(), column.to_owned()))
    }

    /// Whether the column's values mostly have this form.
    pub fn is_mostly(&self, table: &str, column: &str, form: Form) -> bool {
        self.of(table, column).is_some_and(|sample| sample.is_mostly(form))
    }

    /// Adds what is known of a column.
    pub fn insert(&mut self, table: &str, column: &str, sample: ColumnSample) {
        self.0.insert((table.to_owned(), column.to_owned()), sample);
    }
}

/// Looks at the app's tables. Those in another database, and those that may not be read, are left out.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn read(conn: &impl ConnectionTrait, catalog: &Catalog) -> Result<Samples, StoreError> {
    let mut samples = Samples::default();
    for table in catalog.app_tables() {
        if table.kind == TableKind::Foreign || table.denied.contains(&"SELECT") {
            continue;
        }
        let columns: Vec<&Column> = table.columns.iter().filter(|column| is_told_by_form(column)).collect();
        for some in columns.chunks(COLUMNS_AT_ONCE) {
            forms(conn, catalog.dialect, table, some, &mut samples).await?;
        }
        for column in &table.columns {
            let text = catalog.dialect == Dialect::Sqlite && samples.is_mostly(&table.name, &column.name, Form::Json);
            if (column.family == Family::Json && !column.is_array()) || text {
                let paths = json_paths(conn, catalog.dialect, table, column).await?;
                if let Some(sample) = samples.0.get_mut(&(table.name.clone(), column.name.clone())) {
                    sample.json_paths = paths;
                }
            }
        }
    }
    Ok(samples)
}

fn is_told_by_form(column: &Column) -> bool {
    let families = [Family::Text, Family::Integer, Family::Instant, Family::Json, Family::Numeric, Family::Other];
    !column.is_array() && families.contains(&column.family)
}

async fn rows(conn: &impl ConnectionTrait, dialect: Dialect, sql: String) -> Result<Vec<QueryResult>, StoreError> {
    let backend = if dialect == Dialect::Postgres { DbBackend::Postgres } else { DbBackend::Sqlite };
    Ok(conn.query_all_raw(Statement::from_string(backend, sql)).await?)
}

/// Counts, in one statement, how many values of each column have each form.
async fn forms(
    conn: &impl ConnectionTrait,
    dialect: Dialect,
    table: &Table,
    columns: &[&Column],
    samples: &mut Samples,
) -> Result<(), StoreError> {
    let (mut picked, mut counted) = (Vec::new(), Vec::new());
    for (i, column) in columns.iter().enumerate() {
        let name = quoted(&column.name);
        let value = if dialect == Dialect::Postgres { format!("CAST({name} AS text)") } else { name };
        picked.push(format!("{value} AS v{i}"));
        counted.push(format!("count(v{i}) AS seen{i}"));
        for (place, form) in Form::ALL.into_iter().enumerate() {
            let condition = form.condition(dialect, &format!("v{i}"));
            counted.push(format!("count(CASE WHEN {condition} THEN 1 END) AS f{i}_{place}"));
        }
    }
    let sql = format!(
        "SELECT {} FROM (SELECT {} FROM {} LIMIT {ROWS_MAX}) AS s",
        counted.join(", "),
        picked.join(", "),
        quoted(&table.name)
    );
    for row in rows(conn, dialect, sql).await? {
        for (i, column) in columns.iter().enumerate() {
            let seen: i64 = row.try_get("", &format!("seen{i}"))?;
            let mut sample = ColumnSample { seen: seen.unsigned_abs(), ..ColumnSample::default() };
            for (place, form) in Form::ALL.into_iter().enumerate() {
                let having: i64 = row.try_get("", &format!("f{i}_{place}"))?;
                if having > 0 {
                    sample.forms.insert(form, having.unsigned_abs());
                }
            }
            samples.insert(&table.name, &column.name, sample);
        }
    }
    Ok(())
}

/// The distinct paths to values within a column's documents, as far as their keys are plain names.
async fn json_paths(
    conn: &impl ConnectionTrait,
    dialect: Dialect,
    table: &Table,
    column: &Column,
) -> Result<Vec<String>, StoreError> {
    let (table, column) = (quoted(&table.name), quoted(&column.name));
    let sql = if dialect == Dialect::Postgres {
        format!(
            "WITH RECURSIVE w(path, j, depth) AS (
               SELECT '$', d.j, 0 FROM (SELECT CAST({column} AS jsonb) AS j FROM {table} WHERE {column} IS NOT NULL
                 LIMIT {DOCUMENTS_MAX}) AS d
               UNION ALL
               SELECT x.path, x.j, w.depth + 1 FROM w CROSS JOIN LATERAL (
                 SELECT w.path || '.' || e.key AS path, e.value AS j
                   FROM jsonb_each(CASE WHEN jsonb_typeof(w.j) = 'object' THEN w.j ELSE '{{}}'::jsonb END) AS e
                   WHERE e.key ~ '^[A-Za-z_][A-Za-z0-9_]*$'
                 UNION ALL
                 SELECT w.path || '[0]', a.value FROM jsonb_array_elements(
                   CASE WHEN jsonb_typeof(w.j) = 'array' THEN w.j ELSE '[]'::jsonb END) WITH ORDINALITY AS a(value, n)
                   WHERE a.n <= 3) AS x WHERE w.depth < {DEPTH_MAX})
             SELECT DISTINCT path FROM w WHERE jsonb_typeof(j) NOT IN ('object', 'array') ORDER BY path LIMIT 500"
        )
    } else {
        format!(
            "SELECT DISTINCT x.fullkey AS path FROM (SELECT {column} AS j FROM {table}
               WHERE typeof({column}) = 'text' AND json_valid({column}) LIMIT {DOCUMENTS_MAX}) AS d, json_tree(d.j) AS x
             WHERE x.type NOT IN ('object', 'array') ORDER BY path LIMIT 5000"
        )
    };
    let mut paths = BTreeSet::new();
    for row in rows(conn, dialect, sql).await? {
        paths.extend(plain_path(&row.try_get::<String>("", "path")?));
    }
    Ok(paths.into_iter().collect())
}

/// `$.orders[3]."first_name"` as `orders[*].first_name`; none when a key is no plain name, or lies too deep.
fn plain_path(full: &str) -> Option<String> {
    let mut rest = full.strip_prefix('$')?;
    let (mut path, mut depth) = (String::new(), 0);
    while !rest.is_empty() {
        if let Some(index) = rest.strip_prefix('[') {
            path.push_str("[*]");
            rest = index.split_once(']')?.1;
            continue;
        }
        let named = rest.strip_prefix('.')?;
        let (key, after) = if let Some(quoted) = named.strip_prefix('"') {
            quoted.split_once('"')?
        } else {
            named.split_at(named.find(['.', '[']).unwrap_or(named.len()))
        };
        let plain = key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        depth += 1;
        if !plain || depth > DEPTH_MAX {
            return None;
        }
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(key);
        rest = after;
    }
    (!path.is_empty()).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_told_only_when_its_keys_are_plain_names() {
        assert_eq!(plain_path("$.orders[3].\"first_name\"").as_deref(), Some("orders[*].first_name"));
        assert_eq!(plain_path("$[0].email").as_deref(), Some("[*].email"));
        assert_eq!(plain_path("$.\"ada@example.com\".note"), None);
        assert_eq!(plain_path("$.\"299938\""), None);
        assert_eq!(plain_path("$"), None);
    }
}
