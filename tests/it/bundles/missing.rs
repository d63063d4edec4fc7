//! Entries that are gone: those that were pruned leave their receipts, and those that nobody pruned are missed.

use chrono::TimeDelta;
use efface::evidence::bundle::container;
use efface::evidence::bundle::gather::{BundleError, Wishes};
use efface::evidence::log::LogError;
use efface::evidence::receipt;

use crate::house::{ADA, House, Webhook};

impl House {
    /// A job that has ended, under a checkpoint.
    async fn ended(&self, order: u64) -> String {
        let id = self.done(&Webhook::customers_redact(ADA, &[order])).await.id;
        self.advance(TimeDelta::seconds(2));
        self.app().log().tend().await.unwrap();
        id
    }
}

both_databases! {
    async fn a_log_that_lacks_an_entry_makes_no_bundle(house: House) {
        house.settle_town().await;
        let (job, other) = (house.ended(1001).await, house.ended(1002).await);
        let place = r#"SELECT max("ordinal") AS n FROM "AuditLog" WHERE "action"='delete' AND "resourceId"="#;
        let ordinal = house.number(&format!("{place}'{job}'")).await;
        house.without_triggers(async || house.execute(&format!(r#"DELETE FROM "AuditLog" WHERE "ordinal"={ordinal}"#)).await).await;
        let (bundles, wishes) = (house.app().bundles(), Wishes::default());
        // Of the job, of another one, and of the shop.
        for refused in [
            bundles.of_job(&job, &wishes).await,
            bundles.of_job(&other, &wishes).await,
            bundles.of_shop(ADA, None, None, &wishes).await,
        ] {
            let Err(BundleError::Log(error @ LogError::Missing { .. })) = refused else { panic!("{refused:?}") };
            assert!(error.is_contradiction() && error.to_string().contains("lacks entries"), "{error}");
        }
        assert!(matches!(house.app().log().check().await, Err(LogError::Missing { from: 0, .. })));
    }

    async fn a_span_that_is_gone_is_missed_as_its_entries_are(house: House) {
        house.settle_town().await;
        let job = house.ended(1001).await;
        house.without_triggers(async || house.execute(r#"DELETE FROM "AuditSpan" WHERE "firstIndex"=0"#).await).await;
        let refused = house.app().bundles().of_job(&job, &Wishes::default()).await;
        assert!(matches!(refused, Err(BundleError::Log(LogError::Missing { .. }))), "{refused:?}");
    }

    async fn receipts_of_pruned_jobs_stay_in_every_bundle(house: House) {
        house.long_ago();
        house.settle_town().await;
        let (old, older) = (house.ended(1001).await, house.ended(1003).await);
        let between = house.clock.now();
        house.advance(TimeDelta::days(200));
        let young = house.ended(1002).await;
        let log = house.app().log();
        log.prune(house.clock.now() - TimeDelta::days(180)).await.unwrap();
        let with_receipts = async |bundle: Vec<u8>| {
            let checked = house.check(&bundle).unwrap();
            let files = container::read(&bundle).unwrap();
            let has = |id: &String| files.contains_key(format!("receipts/{id}.json").as_str());
            ([has(&old), has(&older), has(&young)], checked.manifest.events)
        };
        let bundle = house.bundle(&old, &Wishes::default()).await;
        assert_eq!(with_receipts(bundle).await, ([true, false, false], 0));
        // Somebody has looked at it: an entry about the job, which tells nothing of its life.
        house.advance(TimeDelta::seconds(2));
        let looked = efface::audit::Entry { action: entity::audit_log::Action::Export, ..crate::audit_log::entry(&old) };
        let looked = efface::audit::Entry { metadata: serde_json::json!({ "what": "evidence" }), ..looked };
        efface::audit::record(house.store(), &house.clock, vec![looked]).await.unwrap();
        house.advance(TimeDelta::seconds(2));
        let bundle = house.bundle(&old, &Wishes::default()).await;
        assert_eq!(with_receipts(bundle).await, ([true, false, false], 1));
        let bundle = house.bundle_of_shop(ADA, &Wishes::default()).await;
        assert_eq!(with_receipts(bundle).await.0, [true, true, true]);
        let bundle = house.app().bundles().of_shop(ADA, Some(between), None, &Wishes::default()).await.unwrap();
        assert_eq!(with_receipts(bundle).await.0, [false, false, true]);
        let bundle = house.app().bundles().of_shop(ADA, None, Some(between), &Wishes::default()).await.unwrap();
        assert_eq!(with_receipts(bundle).await.0, [true, true, false]);
        assert!(receipt::find(house.store(), &old).await.unwrap().is_some());
    }
}
