//! Thousands of rows at the edges of their time, against an oracle that knows nothing of the program: it counts
//! milliseconds. Runs are cut short by limits and by deaths in the midst of them; in the end exactly what is due is gone.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use chrono::{DateTime, FixedOffset, TimeDelta, Utc};
use efface::retention::Retention;
use efface::shutdown::Shutdown;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use sea_orm::{ConnectionTrait as _, Statement};

use super::{iso, wish};
use crate::house::House;

const CASES_MIN: usize = 5_000;
const ROUNDS: u64 = 14;
const DAY: i64 = 86_400_000;
/// Of each shop. Those that are none of the five and not 0 purge nothing.
const DAYS: [i64; 16] = [30, 60, 90, 180, 365, 0, 30, 90, 45, -30, 365, 0, 60, 180, 1, 90];
/// Shops under a hold: the last of them by a person.
const HELD: [usize; 3] = [1, 6, 12];
const TABLES: [&str; 6] = ["M_Native", "M_Zoned", "M_Millis", "M_Text", "M_After", "M_Class"];
const CLASSES: [(&str, Option<i64>); 4] =
    [("network", None), ("org", Some(730)), ("private", Some(996)), ("unlisted", None)];

const MAP: &str = r#"
version = 1
[shop]
table = "Shop"
id = "id"
domain = "shopDomain"
active = "isActive"
installed_at = "installedAt"
uninstalled_at = "uninstalledAt"
retention_days = "dataRetentionDays"
result_key = "deletedShops"
"#;

/// A table of the map; the second shape names its shops by domain.
fn table(name: &str, holds: &str, retention: &str) -> String {
    format!(
        r#"[[table]]
        name = "{name}"
        shop = {{ column = "shop", holds = "{holds}" }}
        customers_redact = "keep"
        shop_redact = "delete"
        result_key = "deleted{name}"
        retention = {{ {retention} }}
        "#
    )
}

fn map() -> String {
    let mut map = MAP.to_owned();
    for (name, holds, retention) in [
        ("M_Native", "shop_id", r#"policy = "by_shop", since = "at""#),
        ("M_Zoned", "shop_domain", r#"policy = "by_shop", since = "at", days_min = 60"#),
        ("M_Millis", "shop_id", r#"policy = "by_shop", since = "at", days_max = 180"#),
        ("M_Text", "shop_id", r#"policy = "fixed", since = "at", days = 100"#),
        ("M_After", "shop_id", r#"policy = "after", event = "at", days = 30"#),
        (
            "M_Class",
            "shop_domain",
            r#"policy = "by_class", since = "at", class = "class", classes = { network = "never", org = 730, private = 996 }"#,
        ),
    ] {
        map += &table(name, holds, retention);
    }
    map
}

fn domain(shop: usize) -> String {
    format!("m{shop}.myshopify.com")
}

#[derive(Debug)]
struct Case {
    table: &'static str,
    id: String,
    shop: usize,
    class: usize,
    /// Milliseconds since 1970; none: null.
    at: Option<i64>,
}

/// How many days a row is kept; none: for ever. The oracle.
fn days(case: &Case) -> Option<i64> {
    let chosen = match DAYS[case.shop] {
        days @ (30 | 60 | 90 | 180 | 365) => Some(days),
        _ => None,
    };
    match case.table {
        "M_Native" => chosen,
        "M_Zoned" => chosen.map(|days| if days < 60 { 60 } else { days }),
        "M_Millis" if DAYS[case.shop] == 0 => Some(180),
        "M_Millis" => chosen.map(|days| if days > 180 { 180 } else { days }),
        "M_Text" => Some(100),
        "M_After" => Some(30),
        _ => CLASSES[case.class].1,
    }
}

fn has_expired(case: &Case, now: i64) -> bool {
    case.at.is_some_and(|at| days(case).is_some_and(|days| at < now - days * DAY))
}

fn cases(rng: &mut StdRng, now: i64) -> Vec<Case> {
    let offsets = [-DAY, -1_000, -1, 0, 1, 1_000, DAY];
    let mut cases = Vec::new();
    for table in TABLES {
        for n in 0..62 {
            let (shop, class) = (rng.random_range(0..DAYS.len()), rng.random_range(0..CLASSES.len()));
            let mut case = Case { table, id: format!("{table} {n}"), shop, class, at: None };
            let periods = [30, 60, 90, 100, 180, 365, 730, 996];
            let near = days(&case).filter(|_| rng.random_bool(0.7)).unwrap_or(periods[rng.random_range(0..8)]);
            let offset = match rng.random_range(0..9) {
                of @ 0..7 => offsets[of],
                7 => rng.random_range(-400 * DAY..400 * DAY),
                _ => rng.random_range(-2 * DAY..2 * DAY),
            };
            case.at = (table != "M_After" || rng.random_bool(0.8)).then_some(now - near * DAY + offset);
            cases.push(case);
        }
    }
    cases
}

/// The instant as the table's column holds it.
fn written(rng: &mut StdRng, house: &House, case: &Case) -> String {
    let Some(at) = case.at else { return "NULL".to_owned() };
    let at = DateTime::from_timestamp_millis(at).unwrap();
    let minutes = [0, 60, -300, 330, 765][rng.random_range(0..5)];
    let elsewhere = at.with_timezone(&FixedOffset::east_opt(minutes * 60).unwrap());
    match case.table {
        "M_Millis" => at.timestamp_millis().to_string(),
        "M_Text" | "M_Zoned" if rng.random_bool(0.5) => format!("'{}'", elsewhere.format("%Y-%m-%dT%H:%M:%S%.3f%:z")),
        "M_Text" => format!("'{}'", at.format("%Y-%m-%d %H:%M:%S%.3f")),
        "M_Native" | "M_Class" | "M_After" if !house.is_sqlite() => format!("'{}'", at.format("%Y-%m-%d %H:%M:%S%.3f")),
        _ => format!("'{}'", iso(at)),
    }
}

async fn fill(rng: &mut StdRng, house: &House, cases: &[Case]) {
    for table in TABLES {
        // A few rows on each page: PostgreSQL purges by pages.
        let pad = "x".repeat(1_000);
        let by_domain = matches!(table, "M_Zoned" | "M_Class");
        let mut rows = String::new();
        for case in cases.iter().filter(|case| case.table == table) {
            let shop = if by_domain { domain(case.shop) } else { format!("id {}", case.shop) };
            let comma = if rows.is_empty() { "" } else { "," };
            let at = written(rng, house, case);
            write!(rows, "{comma}('{}','{shop}','{}',{at},'{pad}')", case.id, CLASSES[case.class].0).unwrap();
        }
        house.execute(&format!(r#"INSERT INTO "{table}" ("id","shop","class","at","pad") VALUES {rows}"#)).await;
    }
}

async fn left(house: &House) -> BTreeSet<String> {
    let mut left = BTreeSet::new();
    for table in TABLES {
        let sql = format!(r#"SELECT "id" FROM "{table}""#);
        for row in house.store().db().query_all_raw(Statement::from_string(house.store().backend(), sql)).await.unwrap()
        {
            left.insert(row.try_get("", "id").unwrap());
        }
    }
    left
}

async fn settle(house: &House) {
    for (shop, days) in DAYS.iter().enumerate() {
        let domain = domain(shop);
        house.open_shop(&domain).await;
        let gone = if shop % 3 == 0 { r#","isActive"=false,"uninstalledAt"='2026-01-02T00:00:00.000Z'"# } else { "" };
        house.execute(&format!(r#"DELETE FROM "ReconciliationReport" WHERE "shopId"='id of {domain}'"#)).await;
        house
            .execute(&format!(
                r#"UPDATE "Shop" SET "id"='id {shop}',"dataRetentionDays"={days}{gone} WHERE "shopDomain"='{domain}'"#
            ))
            .await;
    }
    let (naive, zoned) = if house.is_sqlite() { ("TEXT", "TEXT") } else { ("timestamp(3)", "timestamptz") };
    for (table, kind) in TABLES.into_iter().zip([naive, zoned, "bigint", "text", naive, naive]) {
        house
            .execute(&format!(
                r#"CREATE TABLE "{table}" ("id" text PRIMARY KEY, "shop" text, "class" text, "at" {kind}, "pad" text)"#
            ))
            .await;
    }
}

/// Sweeps until everything is done: runs meet limits, and die. Returns how often they did.
async fn sweep_to_the_end(
    rng: &mut StdRng,
    house: &House,
    retention: &Retention,
    now: DateTime<Utc>,
) -> (u32, u32, u64) {
    let (mut deaths, mut limits) = (0, 0);
    loop {
        let patience = Duration::from_micros(rng.random_range(500..60_000));
        let (wish, stop) = (wish(), Shutdown::new());
        let run = retention.sweep_at(now, &wish, &|_| {}, &stop);
        let swept = if deaths < 3 { tokio::time::timeout(patience, run).await } else { Ok(run.await) };
        match swept {
            Err(_) => {
                deaths += 1;
                // What it had begun is rolled back; its lease runs out.
                house.advance(TimeDelta::seconds(11));
            }
            Ok(swept) => {
                let swept = swept.unwrap();
                let failed: Vec<_> = swept.runs.iter().filter(|run| run.error.is_some()).collect();
                assert!(failed.is_empty(), "{failed:?}");
                if swept.is_complete() {
                    let held = swept.runs.iter().map(|run| run.rows_held.unsigned_abs()).sum();
                    return (deaths, limits, held);
                }
                limits += 1;
            }
        }
    }
}

both_databases! {
    async fn exactly_what_is_due_goes(house: House) {
        let seed = 20_261_121;
        let mut rng = StdRng::seed_from_u64(seed);
        settle(&house).await;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("map.toml");
        std::fs::write(&file, map()).unwrap();
        let house = house.with(&[("data_map.file", file.to_str().unwrap()), ("retention.pause_percent", "0")]).await;
        for (n, shop) in HELD.into_iter().enumerate() {
            let subject = if n == 2 { r#","subject":{"customerId":7}"# } else { "" };
            let hold = format!(r#"{{"shop":"{}","reason":"case"{subject}}}"#, domain(shop));
            house.app().holds().place("ops", &serde_json::from_str(&hold).unwrap()).await.unwrap();
        }
        let special = [
            "2028-02-29T23:59:59.500Z", "2028-03-01T00:00:00Z", "2026-03-29T01:00:00Z", "2026-10-25T01:00:00Z",
            "2026-11-21T12:34:56.789Z", "2027-01-01T00:00:00Z", "2024-02-29T00:00:00.001Z",
        ];
        let (mut tried, mut deaths, mut limits, mut gone) = (0, 0, 0, 0);
        for round in 0..ROUNDS {
            let now: DateTime<Utc> = match special.get(usize::try_from(round).unwrap()) {
                Some(now) => now.parse().unwrap(),
                None => DateTime::from_timestamp_millis(rng.random_range(1_700_000_000_000..1_900_000_000_000)).unwrap(),
            };
            let cases = cases(&mut rng, now.timestamp_millis());
            fill(&mut rng, &house, &cases).await;
            let before = house.number(r#"SELECT CAST(COALESCE(sum("rowsPurged"),0) AS bigint) AS "n" FROM "RetentionRun""#).await;
            let mut retention = house.app().retention();
            retention.settings.rows_max = (round % 2 == 1).then(|| rng.random_range(9..30));
            let (died, limited, held) = sweep_to_the_end(&mut rng, &house, &retention, now).await;

            let expired: Vec<&Case> = cases.iter().filter(|case| has_expired(case, now.timestamp_millis())).collect();
            let is_held = |case: &Case| HELD.contains(&case.shop);
            let due: BTreeSet<&str> = expired.iter().filter(|case| !is_held(case)).map(|case| case.id.as_str()).collect();
            let expected: BTreeSet<String> =
                cases.iter().filter(|case| !due.contains(case.id.as_str())).map(|case| case.id.clone()).collect();
            let left = left(&house).await;
            let wrong: Vec<&Case> =
                cases.iter().filter(|case| left.contains(&case.id) != expected.contains(&case.id)).collect();
            assert!(wrong.is_empty(), "seed {seed}, round {round}, now {now}: {} differences: {wrong:#?}", wrong.len());
            assert_eq!(held, (expired.len() - due.len()) as u64, "round {round}: rows held");
            let after = house.number(r#"SELECT CAST(sum("rowsPurged") AS bigint) AS "n" FROM "RetentionRun""#).await;
            assert_eq!(after - before, i64::try_from(due.len()).unwrap(), "round {round}: run rows add up");
            for table in TABLES {
                house.execute(&format!(r#"DELETE FROM "{table}""#)).await;
            }
            tried += cases.len();
            deaths += died;
            limits += limited;
            gone += due.len();
        }
        println!("{tried} cases, 0 differences: {gone} purged; {deaths} runs died, {limits} met a limit");
        assert!(tried >= CASES_MIN && gone > CASES_MIN / 5 && deaths > 5 && limits > 5);
    }
}
