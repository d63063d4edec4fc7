//! What should go and when, what went and when, and what the runs say of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use entity::retention_run::{Entity, Model};
use rand::RngExt as _;
use rand::rngs::StdRng;
use sea_orm::{ConnectionTrait as _, EntityTrait as _, Statement};
use serde_json::Value;

use super::super::{iso, shop_days};
use crate::house::{ADA, BEA, CYD, House};

const TABLES: [&str; 4] = ["ConversionLog", "ConversionJob", "SurveyResponse", "WebhookLog"];
/// Days that each shop keeps its rows; 0: for ever.
const SHOPS: [(&str, i64); 3] = [(ADA, 90), (BEA, 30), (CYD, 0)];
const WEBHOOK_LOG_DAYS: i64 = 7;
const AFTER_COMPLETION_DAYS: i64 = 30;

type Row = (String, String);

/// Every row that the test has added, with the millisecond from which it is due; none: never, as far as a test can see.
pub struct Books {
    due_at: BTreeMap<Row, Option<i64>>,
    opened_at: i64,
}

/// What it all came to.
pub struct Totals {
    gone: usize,
    soon: usize,
    passes: usize,
    pub interrupted: usize,
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { gone, soon, passes, interrupted } = self;
        write!(f, "{gone} rows gone once, {soon} of them due while it went on; {passes} passes, {interrupted} cut off")
    }
}

impl Books {
    /// Shops, and triggers that write down what goes.
    pub async fn open(house: &House) -> Self {
        for (shop, days) in SHOPS {
            house.open_shop(shop).await;
            shop_days(house, shop, days).await;
        }
        house.execute(r#"CREATE TABLE "Gone" ("of" text, "row" text, "at" bigint)"#).await;
        if !house.is_sqlite() {
            house
                .execute(
                    r#"CREATE FUNCTION gone() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO "Gone" VALUES
                       (TG_TABLE_NAME, OLD."id", floor(extract(epoch FROM clock_timestamp())*1000)); RETURN NULL; END $$"#,
                )
                .await;
        }
        for table in TABLES {
            let body = if house.is_sqlite() {
                format!(
                    r#"BEGIN INSERT INTO "Gone" VALUES ('{table}', old."id",
                       CAST(round((julianday('now')-2440587.5)*86400000) AS integer)); END"#
                )
            } else {
                "FOR EACH ROW EXECUTE FUNCTION gone()".to_owned()
            };
            house.execute(&format!(r#"CREATE TRIGGER "gone {table}" AFTER DELETE ON "{table}" {body}"#)).await;
        }
        Self { due_at: BTreeMap::new(), opened_at: house.clock.now().timestamp_millis() }
    }

    /// The app goes on: rows that are long due, rows that come due within `soon_ms`, and rows that have time.
    pub async fn add(&mut self, rng: &mut StdRng, house: &House, soon_ms: i64) {
        // Few rows on a page, so that there is more than one piece to purge.
        let wide = "x".repeat(900);
        let now = house.clock.now();
        for table in TABLES {
            let mut rows = Vec::new();
            for (shop, days) in SHOPS {
                for _ in 0..rng.random_range(4..16) {
                    let id = format!("row {}", self.due_at.len());
                    let kept = if table == "WebhookLog" { WEBHOOK_LOG_DAYS } else { days };
                    let ahead = TimeDelta::milliseconds(match rng.random_range(0..3) {
                        0 => -rng.random_range(1..40_000_000_000_i64),
                        1 => rng.random_range(0..soon_ms),
                        _ => rng.random_range(86_400_000..500_000_000),
                    });
                    let made = millisecond(now + ahead - TimeDelta::days(if kept == 0 { 4_000 } else { kept }));
                    let mut due = (kept > 0).then(|| made + TimeDelta::days(kept));
                    let at = iso(made);
                    rows.push(match table {
                        "ConversionLog" => {
                            format!("('{id}','id of {shop}','{id}',1,'meta','{{\"pad\":\"{wide}\"}}','{at}')")
                        }
                        "SurveyResponse" => format!("('{id}','id of {shop}','{id}',5,'{wide}','{at}')"),
                        "WebhookLog" => format!(
                            "('{id}','{shop}','{id}','shop/redact','shopify','http','{wide}','rejected',1,'{at}')"
                        ),
                        _ => {
                            // Due by its completion as well, whichever comes first.
                            let done = rng.random_bool(0.5).then(|| {
                                let ahead = rng.random_range(-2 * soon_ms..soon_ms);
                                millisecond(
                                    now + TimeDelta::milliseconds(ahead) - TimeDelta::days(AFTER_COMPLETION_DAYS),
                                )
                            });
                            let by_end = done.map(|at| at + TimeDelta::days(AFTER_COMPLETION_DAYS));
                            due = due.into_iter().chain(by_end).min();
                            let done = done.map_or("NULL".to_owned(), |at| format!("'{}'", iso(at)));
                            format!("('{id}','id of {shop}','{id}','{{\"pad\":\"{wide}\"}}','{at}',{done})")
                        }
                    });
                    let due = due.filter(|due| *due < now + TimeDelta::hours(1));
                    self.due_at.insert((table.to_owned(), id), due.map(|due| due.timestamp_millis()));
                }
            }
            let columns = match table {
                "ConversionLog" => r#""id","shopId","orderId","orderValue","platform","platformResponse","createdAt""#,
                "SurveyResponse" => r#""id","shopId","orderId","rating","feedback","createdAt""#,
                "WebhookLog" => {
                    r#""id","shopDomain","webhookId","topic","provider","source","bodyDigest","status","deliveries","receivedAt""#
                }
                _ => r#""id","shopId","orderId","capiInput","createdAt","completedAt""#,
            };
            house.execute(&format!(r#"INSERT INTO "{table}" ({columns}) VALUES {}"#, rows.join(","))).await;
        }
    }

    pub fn has_all_come_due(&self, house: &House) -> bool {
        let now = house.clock.now().timestamp_millis();
        self.due_at.values().flatten().all(|due| *due < now)
    }

    pub async fn is_all_gone(&self, house: &House) -> bool {
        let due = self.due_at.values().flatten().count();
        gone(house).await.len() >= due
    }

    /// Every row that was due is gone, once, and not before its time; no other is. Rows, runs and audit log agree.
    pub async fn compare(&self, house: &House) -> Totals {
        let mut went = BTreeSet::new();
        let mut of_table: BTreeMap<String, i64> = BTreeMap::new();
        let mut soon = 0;
        for (row, at) in gone(house).await {
            let due = self.due_at.get(&row).unwrap_or_else(|| panic!("{row:?} is not the test's"));
            let due = due.unwrap_or_else(|| panic!("{row:?} went, and is not due at all"));
            assert!(at >= due, "{row:?} went at {at}, and is due at {due}");
            soon += usize::from(due > self.opened_at);
            *of_table.entry(row.0.clone()).or_default() += 1;
            assert!(went.insert(row.clone()), "{row:?} went twice");
        }
        let due: BTreeSet<Row> =
            self.due_at.iter().filter(|(_, due)| due.is_some()).map(|(row, _)| row.clone()).collect();
        let stayed: Vec<&Row> = due.difference(&went).collect();
        assert!(stayed.is_empty(), "due, and still there: {stayed:?}");
        let left: BTreeSet<Row> = self.left(house).await;
        let kept: BTreeSet<Row> = self.due_at.keys().filter(|row| !due.contains(*row)).cloned().collect();
        assert_eq!(left, kept, "rows that are not due are there, and no others");

        let runs = Entity::find().all(house.store().db()).await.unwrap();
        let mut counted: BTreeMap<String, i64> = BTreeMap::new();
        for run in runs.iter().filter(|run| run.rows_purged > 0) {
            *counted.entry(run.table_name.clone()).or_default() += run.rows_purged;
        }
        assert_eq!(counted, of_table, "run rows add up to what went");
        let interrupted = audited(house, &runs).await;
        Totals { gone: went.len(), soon, passes: runs.len(), interrupted }
    }

    async fn left(&self, house: &House) -> BTreeSet<Row> {
        let mut left = BTreeSet::new();
        for table in TABLES {
            let sql = format!(r#"SELECT "id" FROM "{table}""#);
            let statement = Statement::from_string(house.store().backend(), sql);
            for row in house.store().db().query_all_raw(statement).await.unwrap() {
                left.insert((table.to_owned(), row.try_get("", "id").unwrap()));
            }
        }
        left
    }
}

/// Each pass has one entry in the audit log, which says the same as its row. Returns how many were cut off.
async fn audited(house: &House, runs: &[Model]) -> usize {
    let mut entries: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for row in house.audit_rows().await {
        if row.resource_type == efface::retention::TABLE {
            let metadata = row.metadata.unwrap();
            let facts = if metadata["run"].is_null() { metadata } else { metadata["run"].clone() };
            entries.entry(row.resource_id).or_default().push(facts);
        }
    }
    let mut interrupted = 0;
    for run in runs {
        let told = entries.remove(&run.id).unwrap_or_default();
        assert_eq!(told.len(), 1, "entries of {run:?}");
        assert_eq!(told[0]["rowsPurged"], run.rows_purged, "{run:?}");
        assert_eq!(told[0]["table"], run.table_name.as_str());
        match run.error.as_deref() {
            None => assert!(run.finished_at.is_some(), "{run:?}"),
            Some("interrupted") => interrupted += 1,
            Some(_) => panic!("{run:?}"),
        }
    }
    assert!(entries.is_empty(), "entries of runs that have no row: {entries:?}");
    interrupted
}

/// What went, in the order in which it did.
async fn gone(house: &House) -> Vec<(Row, i64)> {
    let statement =
        Statement::from_string(house.store().backend(), r#"SELECT "of","row","at" FROM "Gone" ORDER BY "at""#);
    let rows = house.store().db().query_all_raw(statement).await.unwrap();
    let read = |row: sea_orm::QueryResult| {
        let text = |name| row.try_get::<String>("", name).unwrap();
        ((text("of"), text("row")), row.try_get("", "at").unwrap())
    };
    rows.into_iter().map(read).collect()
}

/// As columns keep it.
fn millisecond(at: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(at.timestamp_millis()).unwrap()
}
