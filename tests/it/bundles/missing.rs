//! Entries that are gone: those that were pruned leave their receipts, and those that nobody pruned are missed.

use chrono::TimeDelta;
use efface::evidence::bundle::container;
use efface::evidence::bundle::gather::{BundleError, Bundles, Wishes};
use efface::evidence::log::LogError;
use efface::evidence::receipt;

use crate::house::{ADA, BEA, House, Webhook};

/// Which of these jobs have a receipt in a bundle.
fn with_receipts<const N: usize>(bundle: &[u8], jobs: [&String; N]) -> [bool; N] {
    let files = container::read(bundle).unwrap();
    jobs.map(|id| files.contains_key(format!("receipts/{id}.json").as_str()))
}

impl House {
    /// A job that has ended, under a checkpoint.
    async fn ended(&self, order: u64) -> String {
        let id = self.done(&Webhook::customers_redact(ADA, &[order])).await.id;
        self.advance(TimeDelta::seconds(2));
        self.app().log().tend().await.unwrap();
        id
    }
}

/// A job whose end is pruned, one whose end is signed, and one whose end has no place yet.
async fn pruned_signed_and_new(house: &House) -> [String; 3] {
    house.long_ago();
    house.settle_town().await;
    let old = house.ended(1001).await;
    house.advance(TimeDelta::days(200));
    let young = house.ended(1002).await;
    house.app().log().prune(house.clock.now() - TimeDelta::days(180)).await.unwrap();
    [old, young, house.done(&Webhook::customers_redact(ADA, &[1003_u64])).await.id]
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
        let mut all = Vec::new();
        let mut taken = |bundle: Vec<u8>| {
            let told = (with_receipts(&bundle, [&old, &older, &young]), house.check(&bundle).unwrap().manifest.events);
            all.push(bundle);
            told
        };
        let bundle = house.bundle(&old, &Wishes::default()).await;
        assert_eq!(taken(bundle), ([true, false, false], 0));
        // Somebody has looked at it: an entry about the job, which tells nothing of its life.
        house.advance(TimeDelta::seconds(2));
        let looked = efface::audit::Entry { action: entity::audit_log::Action::Export, ..crate::audit_log::entry(&old) };
        let looked = efface::audit::Entry { metadata: serde_json::json!({ "what": "evidence" }), ..looked };
        efface::audit::record(house.store(), &house.clock, vec![looked]).await.unwrap();
        house.advance(TimeDelta::seconds(2));
        let bundle = house.bundle(&old, &Wishes::default()).await;
        assert_eq!(taken(bundle), ([true, false, false], 1));
        let bundle = house.bundle_of_shop(ADA, &Wishes::default()).await;
        assert_eq!(taken(bundle).0, [true, true, true]);
        let bundle = house.app().bundles().of_shop(ADA, Some(between), None, &Wishes::default()).await.unwrap();
        assert_eq!(taken(bundle).0, [false, false, true]);
        let bundle = house.app().bundles().of_shop(ADA, None, Some(between), &Wishes::default()).await.unwrap();
        assert_eq!(taken(bundle).0, [true, true, false]);
        assert!(receipt::find(house.store(), &old).await.unwrap().is_some());
        house.both_verify(&all);
    }

    async fn receipts_of_pruned_jobs_are_chosen_by_their_shop_and_by_the_instants_of_their_ends(house: House) {
        house.long_ago();
        house.settle_town().await;
        let jobs = [house.ended(1001).await, house.ended(1002).await, house.ended(1003).await];
        let elsewhere = house.done(&Webhook::customers_redact(BEA, &[1001_u64])).await.id;
        house.advance(TimeDelta::days(200));
        house.ended(1004).await;
        house.app().log().prune(house.clock.now() - TimeDelta::days(180)).await.unwrap();
        let at = house.job(&jobs[1]).await.completed_at.unwrap();
        let next = at + TimeDelta::milliseconds(1);
        let mut all = Vec::new();
        for (from, to, expected) in [
            (None, None, [true, true, true]),
            (Some(at), None, [false, true, true]),
            (Some(next), None, [false, false, true]),
            (None, Some(at), [true, false, false]),
            (None, Some(next), [true, true, false]),
            (Some(at), Some(next), [false, true, false]),
        ] {
            let bundle = house.app().bundles().of_shop(ADA, from, to, &Wishes::default()).await.unwrap();
            assert_eq!(with_receipts(&bundle, [&jobs[0], &jobs[1], &jobs[2]]), expected, "{from:?} {to:?}");
            assert_eq!(with_receipts(&bundle, [&elsewhere]), [false], "of another shop");
            all.push(bundle);
        }
        house.both_verify(&all);
    }

    /// Without the entry of its end a receipt would look like a forgery.
    async fn a_receipt_whose_end_has_a_place_and_no_checkpoint_stays_out(house: House) {
        let [old, young, new] = pruned_signed_and_new(&house).await;
        let before = house.bundle_of_shop(ADA, &Wishes::default()).await;
        assert_eq!(house.unplaced().await, 0);
        assert_eq!(with_receipts(&before, [&old, &young, &new]), [true, true, false]);
        house.advance(TimeDelta::seconds(2));
        let after = house.bundle_of_shop(ADA, &Wishes::default()).await;
        assert_eq!(with_receipts(&after, [&old, &young, &new]), [true, true, true]);
        house.both_verify(&[before, after]);
    }
}

on_postgres! {
    /// That role may neither place nor sign: what is signed by now is what there is, if it is what was signed.
    async fn an_auditors_bundle_is_of_what_is_signed_and_none_is_made_of_a_log_that_was_altered(house: House) {
        let [old, young, new] = pruned_signed_and_new(&house).await;
        house.make_roles("").await;
        let store = house.store_as("efface_auditor").await;
        let bundles = Bundles::new(store.clone(), house.log_over(store.clone()), house.app().signer().clone(), None);
        let wishes = Wishes::default();
        let bundle = bundles.of_shop(ADA, None, None, &wishes).await.unwrap();
        assert!(house.unplaced().await > 0, "the end of the last one has no place");
        assert_eq!(with_receipts(&bundle, [&old, &young, &new]), [true, true, false]);
        house.both_verify(&[bundle]);
        let zeros = r#"UPDATE "AuditTile" SET "hashes"=decode(repeat('00',length("hashes")),'hex')"#;
        house.without_triggers(async || house.execute(zeros).await).await;
        let refused = bundles.of_shop(ADA, None, None, &wishes).await;
        assert!(matches!(refused, Err(BundleError::Log(LogError::OtherRoot { .. }))), "{refused:?}");
        store.close().await;
    }
}
