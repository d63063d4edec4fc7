//! The condition that a row is due, as SQL.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, SubsecRound as _, Utc};
use sea_orm::sea_query::ArrayType;
use sea_orm::{DbBackend, Value};

use super::super::Kind;
use super::listed::{Lists, lists};
use super::{Cutoffs, Expiry, InstantForm};
use crate::store::StoreError;

/// A text that reads as an instant: every day that there is, with or without a time, a fraction and a zone.
const ISO: &str = r"^(?!0000)\d{4}-((0[13578]|1[02])-(0[1-9]|[12]\d|3[01])|(0[469]|11)-(0[1-9]|[12]\d|30)|02-(0[1-9]|1\d|2[0-8])|02-29)([T ]([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,9})?(Z|[+-](0\d|1[0-4])(:?[0-5]\d)?)?)?$";
/// A leap day of a year that has none.
const NO_LEAP_DAY: &str = r"^(?!(\d\d(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)-).{5}02-29";

/// How PostgreSQL holds the column with the instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holds {
    Zoned,
    /// Without a zone, and dates.
    Naive,
    Text,
    /// Whole numbers of so many microseconds.
    Whole(i64),
    /// Any numbers of so many microseconds.
    Number(i64),
}

impl Holds {
    /// By the type's own name; none when the form is no form of that type.
    pub(super) fn of(form: InstantForm, data_type: &str) -> Option<Self> {
        let unit = match form {
            InstantForm::UnixMillis => 1_000,
            InstantForm::UnixSeconds => 1_000_000,
            InstantForm::Timestamp => {
                return match data_type {
                    "timestamptz" => Some(Self::Zoned),
                    "timestamp" | "date" => Some(Self::Naive),
                    _ => None,
                };
            }
            InstantForm::IsoText => return ["text", "varchar", "bpchar"].contains(&data_type).then_some(Self::Text),
        };
        match data_type {
            "int2" | "int4" | "int8" => Some(Self::Whole(unit)),
            "numeric" | "float4" | "float8" => Some(Self::Number(unit)),
            _ => None,
        }
    }
}

/// What a statement joins and asks for.
pub(super) struct Part {
    /// The cutoffs as a table `k`; none when there is but one.
    pub(super) k: Option<String>,
    /// That a row `t` is due, and not held.
    pub(super) due: String,
}

/// The cutoffs of one expiry, ready to be written into statements.
#[derive(Debug)]
pub(super) struct Terms {
    backend: DbBackend,
    instant: String,
    holds: Holds,
    /// Of the column that chooses the cutoff.
    pub(super) kind: Kind,
    pub(super) chooser: Option<String>,
    keys: Vec<String>,
    cutoffs: Vec<DateTime<Utc>>,
    /// The same as lists, where that is the cheaper form.
    pub(super) lists: Option<Lists>,
    held: Option<(String, Vec<String>)>,
    only: Option<(String, Vec<String>)>,
}

impl Terms {
    pub(super) fn sqlite(expiry: &Expiry) -> Self {
        let holds = match expiry.form {
            InstantForm::Timestamp | InstantForm::IsoText => Holds::Text,
            InstantForm::UnixMillis => Holds::Number(1_000),
            InstantForm::UnixSeconds => Holds::Number(1_000_000),
        };
        Self::new(DbBackend::Sqlite, expiry, holds, Kind::Text)
    }

    /// `chooser` is the type's own name of the column that chooses the cutoff.
    pub(super) fn postgres(expiry: &Expiry, column: &str, chooser: &str) -> Result<Self, StoreError> {
        let holds = Holds::of(expiry.form, column).ok_or_else(|| StoreError::Unpurgeable {
            table: expiry.table.as_str().to_owned(),
            why: format!(
                "its column \"{}\" of type {column} does not hold instants of that form",
                expiry.column.as_str()
            ),
        })?;
        let kind = match chooser {
            "text" | "varchar" | "bpchar" => Kind::Text,
            "int2" | "int4" | "int8" => Kind::Integer,
            "numeric" => Kind::Numeric,
            "uuid" => Kind::Uuid,
            _ => Kind::Other,
        };
        Ok(Self::new(DbBackend::Postgres, expiry, holds, kind))
    }

    fn new(backend: DbBackend, expiry: &Expiry, holds: Holds, kind: Kind) -> Self {
        let (chooser, keys, cutoffs) = match &expiry.cutoffs {
            Cutoffs::All(cutoff) => (None, Vec::new(), vec![*cutoff]),
            Cutoffs::ByShop { column, cutoffs } | Cutoffs::ByClass { column, cutoffs } => {
                // Of two cutoffs for one key the earlier is right: it deletes less.
                let mut least = BTreeMap::new();
                for (key, cutoff) in cutoffs.iter().filter(|(key, _)| kind == Kind::Other || kind.admits(key)) {
                    let known = least.entry(key.clone()).or_insert(*cutoff);
                    *known = (*known).min(*cutoff);
                }
                let (keys, cutoffs) = least.into_iter().unzip();
                (Some(format!("t.{column}")), keys, cutoffs)
            }
        };
        let cutoffs: Vec<_> = cutoffs.into_iter().map(|cutoff| cutoff.trunc_subsecs(6)).collect();
        // Reading an instant out of a text is dear: it is done once per row, and a join does that.
        let is_listable = backend == DbBackend::Postgres && holds != Holds::Text && chooser.is_some();
        Self {
            backend,
            instant: format!("t.{}", expiry.column),
            holds,
            kind,
            chooser,
            lists: is_listable.then(|| lists(&keys, &cutoffs)).flatten(),
            keys,
            cutoffs,
            held: expiry
                .held
                .as_ref()
                .filter(|(_, values)| !values.is_empty())
                .map(|(column, values)| (format!("CAST(t.{column} AS text)"), values.clone())),
            only: expiry.only.as_ref().map(|(column, values)| (format!("CAST(t.{column} AS text)"), values.clone())),
        }
    }

    /// Whether no row can be due.
    pub(super) fn is_empty(&self) -> bool {
        self.cutoffs.is_empty()
    }

    /// Whether more than its instant says of a row that it is due.
    pub(super) fn is_narrowed(&self) -> bool {
        self.held.is_some() || self.only.is_some()
    }

    /// The one cutoff for all rows.
    pub(super) fn cutoff_of_all(&self) -> Option<DateTime<Utc>> {
        self.cutoffs.first().copied().filter(|_| self.chooser.is_none())
    }

    /// The latest cutoff: nothing younger is due.
    pub(super) fn latest(&self) -> Option<DateTime<Utc>> {
        self.cutoffs.iter().max().copied()
    }

    /// Whether an index on the bare columns orders rows as the cutoffs do.
    pub(super) fn is_ordered_by_column(&self) -> bool {
        self.holds != Holds::Text && (self.chooser.is_none() || self.kind != Kind::Other)
    }

    pub(super) fn holds(&self) -> Holds {
        self.holds
    }

    /// The condition in a form that no index serves, so that rows are read in the order of the pages.
    pub(super) fn part(&self, values: &mut Vec<Value>) -> Part {
        if let Some(listed) = self.listed(values) {
            let narrowed = self.narrowed(values);
            return Part { k: None, due: format!("{listed}{narrowed}") };
        }
        let (k, chosen, cut) = self.cut(values);
        let chosen = chosen.map_or(String::new(), |chosen| format!("{chosen} AND "));
        let before = self.before(&cut);
        let narrowed = self.narrowed(values);
        Part { k, due: format!("{chosen}({before}) IS TRUE{narrowed}") }
    }

    /// The condition in a form that an index serves.
    pub(super) fn indexed(&self, values: &mut Vec<Value>) -> Part {
        let (k, chosen, cut) = self.cut(values);
        let chosen = chosen.map_or(String::new(), |chosen| format!("{chosen} AND "));
        let before = self.before(&cut);
        let narrowed = self.narrowed(values);
        Part { k, due: format!("{chosen}{before}{narrowed}") }
    }

    /// That any row of the table is due, held or not, and the join that it takes: the table `k`, and what joins it.
    pub(super) fn judged(&self, values: &mut Vec<Value>) -> (Option<(String, String)>, String) {
        if let Some(listed) = self.listed(values) {
            return (None, format!("({listed}) IS TRUE"));
        }
        let (k, chosen, cut) = self.cut(values);
        (k.zip(chosen), format!("({}) IS TRUE", self.before(&cut)))
    }

    /// The table `k`, what joins it, and the cutoff in the column's form.
    fn cut(&self, values: &mut Vec<Value>) -> (Option<String>, Option<String>, String) {
        let Some(chooser) = &self.chooser else {
            let cutoff = self.cutoffs.first().copied().unwrap_or(DateTime::UNIX_EPOCH);
            let (value, cast) = self.one(cutoff);
            values.push(value);
            return (None, None, format!("CAST(${} AS {cast})", values.len()));
        };
        let k = if self.backend == DbBackend::Postgres { self.unnested(values) } else { self.in_json(values) };
        let chosen = match self.kind {
            _ if self.backend != DbBackend::Postgres => format!(r#"k."key"=CAST({chooser} AS text)"#),
            Kind::Other => format!(r#"CAST({chooser} AS text)=k."key""#),
            kind => format!("{chooser}={}", kind.cast(self.backend, r#"k."key""#)),
        };
        (Some(k), Some(chosen), r#"k."cut""#.to_owned())
    }

    /// What else than its instant makes a row one that is purged, to be appended to a condition.
    pub(super) fn narrowed(&self, values: &mut Vec<Value>) -> String {
        let held = self.held(values).map_or(String::new(), |held| format!(" AND ({held}) IS NOT TRUE"));
        format!("{held}{}", self.only(values))
    }

    /// That a row is one of those asked for, to be appended to a condition.
    pub(super) fn only(&self, values: &mut Vec<Value>) -> String {
        let only = self.only.as_ref().map(|only| self.is_one_of(only, values));
        only.map_or(String::new(), |only| format!(" AND ({only}) IS TRUE"))
    }

    pub(super) fn held(&self, values: &mut Vec<Value>) -> Option<String> {
        self.held.as_ref().map(|held| self.is_one_of(held, values))
    }

    fn is_one_of(&self, (column, held): &(String, Vec<String>), values: &mut Vec<Value>) -> String {
        if self.backend == DbBackend::Postgres {
            values.push(texts(held));
            return format!("{column}=ANY(${}::text[])", values.len());
        }
        values.push(Value::from(serde_json::Value::from(held.clone()).to_string()));
        format!("{column} IN (SELECT value FROM json_each(${}))", values.len())
    }

    /// That the row's instant is before a cutoff; null or false for a row without one.
    pub(super) fn before(&self, cut: &str) -> String {
        let earlier = self.earlier(cut);
        self.finite().map_or_else(|| earlier.clone(), |finite| format!("{earlier} AND {finite}"))
    }

    /// That the row's instant is one, where the column can hold what is before all instants.
    pub(super) fn finite(&self) -> Option<String> {
        matches!(self.holds, Holds::Zoned | Holds::Naive).then(|| format!("{}>'-infinity'", self.instant))
    }

    /// As [`Self::before`], but for what is before all instants.
    pub(super) fn earlier(&self, cut: &str) -> String {
        let (raw, instant) = (&self.instant, self.instant());
        match self.holds {
            Holds::Number(_) if self.backend != DbBackend::Postgres => {
                format!("typeof({raw}) IN ('integer','real') AND {raw}<{cut}")
            }
            Holds::Number(_) => format!("CAST({raw} AS numeric)<{cut}"),
            Holds::Zoned | Holds::Naive | Holds::Whole(_) => format!("{raw}<{cut}"),
            Holds::Text => format!("{instant}<{cut}"),
        }
    }

    /// The instant as it is compared; null where the column holds none.
    pub(super) fn instant(&self) -> String {
        let raw = &self.instant;
        match self.holds {
            Holds::Zoned | Holds::Naive => format!("CASE WHEN isfinite({raw}) THEN {raw} END"),
            Holds::Text if self.backend == DbBackend::Postgres => format!(
                "CASE WHEN {raw} ~ '{ISO}' AND {raw} !~ '{NO_LEAP_DAY}' THEN CAST(regexp_replace({raw} || CASE WHEN {raw} ~ \
                 '(Z|[0-9]{{2}}:[0-9.]+[+-][0-9:]+)$' THEN '' ELSE 'Z' END, '([.][0-9]{{6}})[0-9]+', '\\1') AS timestamptz) END"
            ),
            Holds::Text => sqlite_instant(raw),
            Holds::Number(_) if self.backend != DbBackend::Postgres => {
                format!("CASE WHEN typeof({raw}) IN ('integer','real') THEN {raw} END")
            }
            Holds::Whole(_) | Holds::Number(_) => raw.clone(),
        }
    }

    pub(super) fn one(&self, cutoff: DateTime<Utc>) -> (Value, &'static str) {
        match (self.backend, self.holds) {
            (DbBackend::Postgres, Holds::Zoned | Holds::Text) => (Value::from(cutoff), "timestamptz"),
            (_, Holds::Zoned | Holds::Naive) => (Value::from(cutoff.naive_utc()), "timestamp"),
            (_, Holds::Whole(unit)) => (Value::from(whole(cutoff, unit)), "bigint"),
            (DbBackend::Postgres, Holds::Number(unit)) => (Value::from(decimal(cutoff, unit)), "numeric"),
            (_, Holds::Number(unit)) => (Value::from(decimal(cutoff, unit)), "REAL"),
            (_, Holds::Text) => (Value::from(sqlite_text(cutoff)), "text"),
        }
    }

    fn unnested(&self, values: &mut Vec<Value>) -> String {
        values.push(texts(&self.keys));
        let keys = values.len();
        let (array_type, sql) = match self.holds {
            Holds::Zoned | Holds::Text => (ArrayType::ChronoDateTimeUtc, "timestamptz"),
            Holds::Naive => (ArrayType::ChronoDateTime, "timestamp"),
            Holds::Whole(_) => (ArrayType::BigInt, "int8"),
            Holds::Number(_) => (ArrayType::String, "text"),
        };
        let cutoffs: Vec<Value> = self.cutoffs.iter().map(|cutoff| self.one(*cutoff).0).collect();
        values.push(Value::Array(array_type, Some(Box::new(cutoffs))));
        let cut = if matches!(self.holds, Holds::Number(_)) { "CAST(c1 AS numeric)" } else { "c1" };
        format!(
            r#"(SELECT c0 AS "key", {cut} AS "cut" FROM unnest(${keys}::text[], ${}::{sql}[]) AS u(c0, c1)) AS k"#,
            values.len()
        )
    }

    fn in_json(&self, values: &mut Vec<Value>) -> String {
        let rows = self.keys.iter().zip(&self.cutoffs).map(|(key, cutoff)| match self.holds {
            Holds::Number(unit) | Holds::Whole(unit) => serde_json::json!([key, decimal(*cutoff, unit)]),
            _ => serde_json::json!([key, sqlite_text(*cutoff)]),
        });
        values.push(Value::from(rows.collect::<serde_json::Value>().to_string()));
        let cut = if matches!(self.holds, Holds::Text) { "value->>'$[1]'" } else { "CAST(value->>'$[1]' AS REAL)" };
        format!(r#"(SELECT value->>'$[0]' AS "key", {cut} AS "cut" FROM json_each(${})) AS k"#, values.len())
    }
}

pub(super) fn texts(texts: &[String]) -> Value {
    Value::Array(ArrayType::String, Some(Box::new(texts.iter().cloned().map(Value::from).collect())))
}

/// The first whole number of units that is not before the cutoff: whole numbers before it are before the cutoff.
fn whole(cutoff: DateTime<Utc>, unit: i64) -> i64 {
    let micros = cutoff.timestamp_micros();
    micros.div_euclid(unit) + i64::from(micros.rem_euclid(unit) > 0)
}

/// The exact number of units.
fn decimal(cutoff: DateTime<Utc>, unit: i64) -> String {
    let micros = cutoff.timestamp_micros();
    let digits = if unit == 1_000 { 3 } else { 6 };
    let sign = if micros < 0 { "-" } else { "" };
    let (whole, rest) = (micros.unsigned_abs() / unit.unsigned_abs(), micros.unsigned_abs() % unit.unsigned_abs());
    format!("{sign}{whole}.{rest:0digits$}")
}

/// As [`sqlite_instant`] writes instants.
fn sqlite_text(cutoff: DateTime<Utc>) -> String {
    let text = cutoff.to_rfc3339_opts(SecondsFormat::Micros, true);
    text.trim_end_matches('Z').to_owned()
}

/// A text as `2026-11-21T09:30:00.000000` in UTC, so that texts compare as instants do; null when it is none. The seconds
/// go through SQLite's own functions, which know zones but no microseconds; the fraction goes around them.
fn sqlite_instant(raw: &str) -> String {
    let digits = |count: usize| "[0-9]".repeat(count);
    let (date, time) = (format!("{}-{}-{}", digits(4), digits(2), digits(2)), format!("{0}:{0}:{0}", digits(2)));
    let rest = format!("substr({raw},20)");
    let zone = format!("ltrim({rest},'.0123456789')");
    let fraction = format!("substr({rest},1,length({rest})-length({zone}))");
    let offset = format!(
        "CASE WHEN {zone}='' THEN 'Z' WHEN {zone} GLOB '[-+][0-9][0-9]' THEN {zone}||':00' WHEN {zone} GLOB \
         '[-+][0-9][0-9][0-9][0-9]' THEN substr({zone},1,3)||':'||substr({zone},4) ELSE {zone} END"
    );
    format!(
        "CASE WHEN typeof({raw})<>'text' THEN NULL WHEN {raw} GLOB '{date}' THEN strftime('%Y-%m-%dT%H:%M:%S',{raw})||'.000000' \
         WHEN {raw} GLOB '{date}[T ]{time}*' AND ({fraction}='' OR {fraction} GLOB '.[0-9]*' AND {fraction} NOT GLOB '.*.*') THEN \
         strftime('%Y-%m-%dT%H:%M:%S',substr({raw},1,19)||{offset})||'.'||substr(substr({fraction},2)||'000000',1,6) END"
    )
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone as _;

    use super::*;

    #[test]
    fn whole_units_round_up_so_that_nothing_at_or_after_the_cutoff_is_before_it() {
        let at = |micros| Utc.timestamp_micros(micros).unwrap();
        assert_eq!(whole(at(1_000_000), 1_000_000), 1);
        assert_eq!(whole(at(1_000_001), 1_000_000), 2);
        assert_eq!(whole(at(999_999), 1_000_000), 1);
        assert_eq!(whole(at(-1), 1_000_000), 0);
        assert_eq!(whole(at(1_500), 1_000), 2);
        assert_eq!(decimal(at(1_767_225_600_123_456), 1_000), "1767225600123.456");
        assert_eq!(decimal(at(-1_500_000), 1_000_000), "-1.500000");
    }
}
