//! Hosts whose clocks differ, and clocks that are set back: the tree has the order in which things happened.

use chrono::{DateTime, TimeDelta, Utc};
use efface::evidence::bundle::container;
use efface::evidence::bundle::event::Event;
use efface::evidence::bundle::gather::Wishes;
use efface::store::audit_log::{self, NewEntry};
use entity::audit_log::Action;
use serde_json::{Value, json};
use uuid::{NoContext, Timestamp, Uuid};

use crate::house::House;

const JOB: &str = "gdpr_of_two_hosts";

/// An entry about the job as a host writes it whose clock shows that time.
fn written(at: DateTime<Utc>, action: Action, metadata: Value) -> NewEntry {
    let seconds = u64::try_from(at.timestamp()).unwrap();
    NewEntry {
        id: Uuid::new_v7(Timestamp::from_unix(NoContext, seconds, 0)).to_string(),
        actor_type: "system",
        actor_id: "worker".to_owned(),
        action,
        resource_type: "GDPRJob",
        resource_id: JOB.to_owned(),
        shop_domain: Some("ada.myshopify.com".to_owned()),
        metadata,
        ip_address: None,
        salt: rand::random(),
        created_at: at,
    }
}

/// What a job lives through when it fails twice, is held, and released.
fn life() -> [(Action, Value); 5] {
    let moved = |status: &str, attempts: u64| (Action::Update, json!({ "status": status, "attempts": attempts }));
    [
        (Action::Create, json!({ "jobType": "shop_redact", "holdReason": null })),
        moved("retrying", 1),
        moved("retrying", 2),
        moved("held", 2),
        (Action::Update, json!({ "from": "held", "status": "queued" })),
    ]
}

both_databases! {
    /// Every step by a host whose clock is behind that of the one before, and all of them placed at once.
    async fn entries_of_one_job_are_placed_in_the_order_in_which_they_happened(house: House) {
        let now = house.clock.now();
        for (step, (action, metadata)) in (0_i64..).zip(life()) {
            let entry = written(now - TimeDelta::seconds(7 * step), action, metadata);
            let tx = house.store().begin_write().await.unwrap();
            audit_log::append(&*tx, &[entry]).await.unwrap();
            tx.commit().await.unwrap();
            // Other jobs' entries, of hosts whose clocks are right.
            house.append(3).await;
        }
        house.tend().await.unwrap();
        let bundle = house.bundle(JOB, &Wishes::default()).await;
        assert_eq!(house.check(&bundle).unwrap().manifest.events, 5);
        let files = container::read(&bundle).unwrap();
        let lines = std::str::from_utf8(files["events.ndjson"]).unwrap().lines();
        let told: Vec<Value> = lines
            .map(|line| Event::parse(line).unwrap())
            .map(|event| json!([event.text("action"), event.value("metadata.status"), event.value("metadata.attempts")]))
            .collect();
        let happened: Vec<Value> = life()
            .into_iter()
            .map(|(action, metadata)| json!([action.as_str(), metadata.get("status"), metadata.get("attempts")]))
            .collect();
        assert_eq!(told, happened);
        // The other verifier sees nothing wrong either.
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("e.zip"), &bundle).unwrap();
        std::fs::write(folder.path().join("efface.pub"), house.key().to_pem()).unwrap();
        let theirs = super::program::python(folder.path(), &["e.zip", "--key", "efface.pub"]);
        assert_eq!(theirs.status.code(), Some(0), "{}", String::from_utf8_lossy(&theirs.stdout));
    }
}
