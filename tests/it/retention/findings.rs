//! What a run reports beside purging, one shop of a table with classes, and Efface's own rows in bounded steps.

use chrono::TimeDelta;
use efface::http::Metrics;
use efface::retention::Wish;
use efface::retention::finding::Kind;

use super::{iso, sweep, wish};
use crate::house::{ADA, BEA, House};

const MAP: &str = r#"
version = 1
[shop]
table = "Shop"
id = "id"
domain = "shopDomain"
retention_days = "dataRetentionDays"
result_key = "deletedShops"

[[table]]
name = "Visit"
shop = { column = "shop", holds = "shop_id" }
customers_redact = "keep"
shop_redact = "delete"
result_key = "deletedVisits"
dates = "iso"
retention = { policy = "by_shop", since = "at" }

[[table]]
name = "Quote"
shop = { column = "shop", holds = "shop_domain" }
customers_redact = "keep"
shop_redact = "delete"
result_key = "deletedQuotes"
retention = { policy = "by_class", since = "at", class = "class", classes = { network = "never", org = 730, private = 365 } }
"#;

/// A house with the map above, and two shops with the default period of 90 days.
async fn with_map(house: House, folder: &tempfile::TempDir) -> House {
    let file = folder.path().join("map.toml");
    std::fs::write(&file, MAP).unwrap();
    house.execute(r#"CREATE TABLE "Visit" ("id" text PRIMARY KEY, "shop" text, "at" text)"#).await;
    house.execute(r#"CREATE TABLE "Quote" ("id" text PRIMARY KEY, "shop" text, "class" text, "at" text)"#).await;
    for shop in [ADA, BEA] {
        house.open_shop(shop).await;
    }
    house.with(&[("data_map.file", file.to_str().unwrap())]).await
}

async fn visit(house: &House, id: &str, shop: &str, at: &str) {
    house.execute(&format!(r#"INSERT INTO "Visit" VALUES ('{id}',{shop},'{at}')"#)).await;
}

async fn ids(house: &House, table: &str) -> i64 {
    house.number(&format!(r#"SELECT count(*) AS "n" FROM "{table}""#)).await
}

both_databases! {
    async fn rows_of_no_known_shop_stay_and_are_reported(house: House) {
        let folder = tempfile::tempdir().unwrap();
        let house = with_map(house, &folder).await;
        let old = iso(house.clock.now() - TimeDelta::days(4_000));
        let of_ada = format!("'id of {ADA}'");
        for (id, shop) in [("1", of_ada.as_str()), ("2", "'id of nobody'"), ("3", "NULL")] {
            visit(&house, id, shop, &old).await;
        }
        let swept = sweep(&house, &wish()).await;
        let reported: Vec<_> = swept.findings.iter().filter(|found| found.kind == Kind::NoShop).collect();
        assert_eq!(reported.len(), 1, "{:?}", swept.findings);
        assert!(reported[0].table == "Visit" && reported[0].detail.starts_with("2 rows"), "{reported:?}");
        assert_eq!(ids(&house, "Visit").await, 2);
        let shown = house.app().retention().effective(None, None).await.unwrap();
        assert!(shown.findings.iter().any(|found| found.kind == Kind::NoShop));
        // Who asks for another table, or for one shop, did not ask for this.
        for wish in [
            Wish { table: Some("Quote".to_owned()), ..wish() },
            Wish { shop: Some(ADA.to_owned()), ..wish() },
        ] {
            assert!(sweep(&house, &wish).await.findings.iter().all(|found| found.kind != Kind::NoShop));
        }
        house.execute(r#"DELETE FROM "Visit" WHERE "id"<>'1'"#).await;
        assert!(sweep(&house, &wish()).await.findings.is_empty());
    }

    async fn a_time_that_cannot_be_read_is_never_over_and_is_reported(house: House) {
        let folder = tempfile::tempdir().unwrap();
        let house = with_map(house, &folder).await;
        let of_ada = format!("'id of {ADA}'");
        let old = iso(house.clock.now() - TimeDelta::days(4_000));
        for (id, at) in [("1", old.as_str()), ("2", "yesterday"), ("3", "2021-13-01"), ("4", "12345")] {
            visit(&house, id, &of_ada, at).await;
        }
        let swept = sweep(&house, &wish()).await;
        let reported: Vec<_> = swept.findings.iter().filter(|found| found.kind == Kind::UnreadDates).collect();
        assert_eq!(reported.len(), 1, "{:?}", swept.findings);
        assert!(reported[0].table == "Visit" && reported[0].detail.starts_with("3 rows hold no instant in at"), "{reported:?}");
        assert_eq!(ids(&house, "Visit").await, 3);
        let shown = house.app().retention().effective(Some("Visit"), None).await.unwrap();
        assert!(shown.findings.iter().any(|found| found.kind == Kind::UnreadDates));
    }

    async fn one_shop_of_a_table_with_classes_can_be_asked_for(house: House) {
        let folder = tempfile::tempdir().unwrap();
        let house = with_map(house, &folder).await;
        for shop in [ADA, BEA] {
            for class in ["network", "org", "private", "unlisted"] {
                for days in [360, 370, 740] {
                    let at = iso(house.clock.now() - TimeDelta::days(days));
                    house.execute(&format!(
                        r#"INSERT INTO "Quote" VALUES ('{shop} {class} {days}','{shop}','{class}','{at}')"#)).await;
                }
            }
        }
        let of_ada = Wish { shop: Some(ADA.to_owned()), table: Some("Quote".to_owned()), ..wish() };
        let shown = house.app().retention().effective(Some("Quote"), Some(ADA)).await.unwrap();
        assert_eq!((shown.rules.len(), shown.rules[0].rows_due), (1, Some(3)));
        let dry = sweep(&house, &Wish { dry_run: true, ..of_ada.clone() }).await;
        assert_eq!((dry.rows(), ids(&house, "Quote").await), (3, 24));
        // A hold on another shop keeps nothing of this one.
        let hold = serde_json::from_str(&format!(r#"{{"shop":"{BEA}","reason":"case 1"}}"#)).unwrap();
        house.app().holds().place("ops", &hold).await.unwrap();
        let swept = sweep(&house, &of_ada).await;
        assert_eq!((swept.rows(), ids(&house, "Quote").await), (3, 21));
        let left = format!(r#"SELECT count(*) AS "n" FROM "Quote" WHERE "shop"='{BEA}'"#);
        assert_eq!(house.number(&left).await, 12);
        assert_eq!(sweep(&house, &of_ada).await.rows(), 0);
    }

    async fn own_rows_go_in_bounded_steps_in_a_dry_run_too(house: House) {
        const ROWS: i64 = 4_100;
        let old = iso(house.clock.now() - TimeDelta::days(8));
        let fresh = iso(house.clock.now() - TimeDelta::days(6));
        house.execute(&format!(
            r#"INSERT INTO "WebhookLog" ("id","shopDomain","webhookId","topic","provider","source","bodyDigest","status","deliveries","receivedAt")
               WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM n WHERE n<{ROWS}+5)
               SELECT 'row '||n,'{ADA}','webhook '||n,'shop/redact','shopify','http','d','rejected',1,
                 CASE WHEN n<={ROWS} THEN '{old}' ELSE '{fresh}' END{} FROM n"#,
            if house.is_sqlite() { "" } else { "::timestamptz" })).await;
        let of_log = Wish { table: Some("WebhookLog".to_owned()), ..wish() };
        let before = house.contents().await;
        let dry = sweep(&house, &Wish { dry_run: true, ..of_log.clone() }).await;
        assert_eq!((dry.runs.len(), dry.runs[0].rows_purged, dry.runs[0].batches), (1, ROWS, 3));
        assert_eq!(house.contents().await, before);
        let swept = sweep(&house, &of_log).await;
        assert_eq!((swept.runs[0].rows_purged, swept.runs[0].batches), (ROWS, 3));
        assert_eq!(ids(&house, "WebhookLog").await, 5);
        assert_eq!(sweep(&house, &of_log).await.rows(), 0);
    }

    async fn a_run_tells_the_metrics_what_it_did(house: House) {
        let metrics = Metrics::install();
        let folder = tempfile::tempdir().unwrap();
        // Other tests of this process count the reference app's tables.
        let name = if house.is_sqlite() { "MeteredHere" } else { "MeteredThere" };
        let file = folder.path().join("map.toml");
        std::fs::write(&file, MAP.replace("Visit", name)).unwrap();
        house.execute(&format!(r#"CREATE TABLE "{name}" ("id" text PRIMARY KEY, "shop" text, "at" text)"#)).await;
        house.execute(r#"CREATE TABLE "Quote" ("id" text PRIMARY KEY, "shop" text, "class" text, "at" text)"#).await;
        house.open_shop(ADA).await;
        let house = house.with(&[("data_map.file", file.to_str().unwrap())]).await;
        for (id, days) in [("1", 100), ("2", 91), ("3", 10)] {
            let at = iso(house.clock.now() - TimeDelta::days(days));
            house.execute(&format!(r#"INSERT INTO "{name}" VALUES ('{id}','id of {ADA}','{at}')"#)).await;
        }
        let begun = house.clock.now();
        assert!(sweep(&house, &wish()).await.is_complete());
        let value = |metric: &str| -> Option<f64> {
            let told = metrics.render();
            let line = told.lines().find_map(|line| line.strip_prefix(metric)?.strip_prefix(' ')).map(str::to_owned);
            line.map(|value| value.parse().unwrap())
        };
        let of_table = |metric: &str| value(&format!("{metric}{{table=\"{name}\"}}"));
        assert_eq!(of_table("efface_retention_rows_purged_total"), Some(2.0));
        assert_eq!(of_table("efface_retention_rows_due"), Some(2.0));
        let age = of_table("efface_retention_oldest_row_seconds").unwrap();
        assert!((8_640_000.0..8_650_000.0).contains(&age), "{age}");
        let success = value("efface_retention_last_success_seconds").unwrap();
        assert!(success >= f64::from(u32::try_from(begun.timestamp()).unwrap()), "{success}");
        for kind in Kind::ALL {
            let metric = format!("efface_retention_findings{{kind=\"{}\"}}", kind.as_str());
            assert!(value(&metric).is_some(), "{metric}");
        }
    }
}
