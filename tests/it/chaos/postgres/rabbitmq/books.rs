//! The books before and after: rows, digests, jobs.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value;

use super::world::{Expected, TABLES, World};
use crate::outside::database::Db;

/// Per table and shop: number and digest of the rows.
type Digests = BTreeMap<(&'static str, String), (i64, String)>;

/// The app's rows at the beginning.
pub struct Books {
    /// Of those rows that must be there at the end.
    surviving: Digests,
    /// All rows, per table.
    rows: [i64; 6],
}

impl Books {
    pub async fn open(db: &Db) -> Self {
        Self { surviving: digests(db, true).await, rows: rows(db).await }
    }

    /// The rows that are to go, all tables together.
    pub fn doomed_rows(&self) -> i64 {
        self.rows.iter().sum::<i64>() - self.surviving.values().map(|(count, _)| count).sum::<i64>()
    }

    /// Checks that exactly the doomed rows are gone, and that the jobs have counted each of them once.
    pub async fn close(&self, db: &Db, jobs: &[Job]) {
        let after = digests(db, false).await;
        let changed: Vec<_> = self.surviving.iter().filter(|(key, digest)| after.get(key) != Some(digest)).collect();
        let left: Vec<_> = after.keys().filter(|key| !self.surviving.contains_key(*key)).collect();
        assert!(changed.is_empty() && left.is_empty(), "changed: {changed:?}; should be gone: {left:?}");
        let rows_after = rows(db).await;
        for (i, (table, counter)) in TABLES.into_iter().enumerate() {
            let counted: i64 = jobs.iter().filter_map(|job| job.result[counter].as_i64()).sum();
            assert_eq!(
                counted,
                self.rows[i] - rows_after[i],
                "{counter} of all jobs, against the rows gone from {table}"
            );
        }
    }
}

async fn digests(db: &Db, only_surviving: bool) -> Digests {
    let mut digests = Digests::new();
    for (table, _) in TABLES {
        let shop = if table == "Shop" { "id" } else { "shopId" };
        let fate = match table {
            "Shop" | "ReconciliationReport" => {
                format!(r#"JOIN chaos.shop k ON k.shop = t."{shop}" WHERE NOT k.leaves"#)
            }
            _ => {
                r#"JOIN chaos.orders k ON k.shop = t."shopId" AND k."orderId" = t."orderId" WHERE NOT k.doomed"#.into()
            }
        };
        let fate = if only_surviving { &fate } else { "" };
        let sql = format!(
            r#"SELECT t."{shop}", count(*), md5(string_agg(t::text, '|' ORDER BY t."id")) FROM "{table}" t {fate} GROUP BY 1"#
        );
        for row in db.rows(&sql).await {
            let shop = row.try_get_by_index(0).unwrap();
            digests.insert((table, shop), (row.try_get_by_index(1).unwrap(), row.try_get_by_index(2).unwrap()));
        }
    }
    digests
}

async fn rows(db: &Db) -> [i64; 6] {
    let mut rows = [0; 6];
    for (i, (table, _)) in TABLES.into_iter().enumerate() {
        rows[i] = db.value(&format!(r#"SELECT count(*) FROM "{table}""#)).await;
    }
    rows
}

/// A job at the end.
pub struct Job {
    id: String,
    event_id: String,
    webhook_id: String,
    status: String,
    outcome: Option<String>,
    pub attempts: i32,
    pub fence: i64,
    result: Value,
}

pub async fn jobs(db: &Db) -> Vec<Job> {
    let sql = r#"SELECT "id","eventId","webhookId","status","outcome","attempts","fence",coalesce("result",'{}') AS "result",
        "errorMessage" FROM "GDPRJob""#;
    let rows = db.rows(sql).await;
    rows.iter()
        .map(|row| Job {
            id: row.try_get("", "id").unwrap(),
            event_id: row.try_get("", "eventId").unwrap(),
            webhook_id: row.try_get("", "webhookId").unwrap(),
            status: row.try_get("", "status").unwrap(),
            outcome: row.try_get("", "outcome").unwrap(),
            attempts: row.try_get("", "attempts").unwrap(),
            fence: row.try_get("", "fence").unwrap(),
            result: row.try_get("", "result").unwrap(),
        })
        .collect()
}

/// Checks that every webhook is exactly one job, the one that its senders were told of, done, with the right counts.
pub fn check_jobs(world: &World, jobs: &[Job], told: &HashMap<String, HashSet<String>>) {
    let mut by_event: HashMap<&str, Vec<&Job>> = HashMap::new();
    for job in jobs {
        by_event.entry(&job.event_id).or_default().push(job);
    }
    let missing: Vec<_> = world.webhooks.iter().filter(|(w, _)| !by_event.contains_key(w.event_id.as_str())).collect();
    let missing: Vec<_> = missing.iter().map(|(webhook, _)| &webhook.webhook_id).collect();
    assert!(
        missing.is_empty(),
        "{} accepted webhooks have no job: {:?}",
        missing.len(),
        &missing[..missing.len().min(20)]
    );
    let twice: Vec<_> = by_event.values().filter(|jobs| jobs.len() > 1).map(|jobs| &jobs[0].event_id).collect();
    assert!(twice.is_empty(), "events with more than one job: {twice:?}");
    assert_eq!(jobs.len(), world.webhooks.len(), "jobs that nobody asked for");
    for (webhook, expected) in &world.webhooks {
        let job = by_event[webhook.event_id.as_str()][0];
        let about =
            format!("job {} of {}: {} {:?} {}", job.id, webhook.webhook_id, job.status, job.outcome, job.result);
        assert!(job.webhook_id.starts_with(&webhook.webhook_id), "{about}");
        assert_eq!(job.status, "completed", "{about}");
        if let Some(told) = told.get(&webhook.event_id) {
            assert!(told.len() == 1 && told.contains(&job.id), "{about}: its senders were told of {told:?}");
        }
        let (verb, counts, outcome) = match expected {
            Expected::Deleted(counts) => ("deleted", counts, "erased"),
            Expected::Exported(counts) => ("exported", counts, "exported"),
            Expected::Shared => continue,
        };
        let outcome = if counts.iter().sum::<u64>() == 0 { "nothing_found" } else { outcome };
        assert_eq!(job.outcome.as_deref(), Some(outcome), "{about}");
        for (count, (_, counter)) in counts.iter().zip(TABLES) {
            let counter = counter.replace("deleted", verb);
            assert_eq!(job.result[&counter].as_u64(), Some(*count), "{counter} in {about}");
        }
    }
}

/// Checks what was written beside the jobs: one entry for the beginning and one for the end of each, the sealed bodies
/// destroyed, every accepted copy counted. `copies` are those sent of each webhook id.
pub async fn check_records(db: &Db, world: &World, jobs: &[Job], copies: &HashMap<String, i32>) {
    let count = async |sql: &str| usize::try_from(db.value::<i64>(sql).await).unwrap();
    let entries = async |actions: &str| {
        let of_jobs = format!(r#"FROM "AuditLog" WHERE "resourceType"='GDPRJob' AND "action" IN ({actions})"#);
        let all = count(&format!("SELECT count(*) {of_jobs}")).await;
        (all, count(&format!(r#"SELECT count(DISTINCT "resourceId") {of_jobs}"#)).await)
    };
    let n = jobs.len();
    assert_eq!(entries("'create'").await, (n, n), "audit entries of jobs created, and jobs among them");
    assert_eq!(entries("'delete','export'").await, (n, n), "audit entries of jobs done, and jobs among them");
    assert_eq!(
        count(r#"SELECT count(*) FROM "GDPRJob" WHERE "sealedPayload" IS NOT NULL OR "leaseOwner" IS NOT NULL"#).await,
        0
    );
    let accepted = count(r#"SELECT count(*) FROM "WebhookLog" WHERE "status"='accepted'"#).await;
    assert_eq!(accepted, world.webhooks.len(), "webhooks recorded as the first of their event");
    let mut recorded: HashMap<String, i32> = HashMap::new();
    for row in db.rows(r#"SELECT "webhookId","deliveries" FROM "WebhookLog""#).await {
        recorded.insert(row.try_get_by_index(0).unwrap(), row.try_get_by_index(1).unwrap());
    }
    // Each copy that was accepted has arrived; one that was sent again without need may have arrived twice.
    let short: Vec<_> = copies.iter().filter(|(id, copies)| recorded.get(*id).is_none_or(|n| n < copies)).collect();
    assert!(
        short.is_empty(),
        "{} webhooks with copies accepted and lost: {:?}",
        short.len(),
        &short[..short.len().min(20)]
    );
    assert_eq!(recorded.len(), copies.len(), "webhooks recorded that nobody sent");
}
