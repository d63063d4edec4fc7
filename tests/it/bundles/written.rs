//! What bundles hold, on both databases.

use std::collections::BTreeMap;
use std::sync::Arc;

use efface::evidence::bundle::container;
use efface::evidence::bundle::event::Event;
use efface::evidence::bundle::gather::{BundleError, Wishes};
use efface::evidence::bundle::verify::{Part, verify};
use efface::redaction::{Engine, Policy};
use efface::seal::Keyring;

use crate::house::{ADA, House};

const POLICY: &str = "version = 1\n\
    [[event.audit_entry.rule]]\npath = \"shopDomain\"\nmode = \"hash\"\n\
    [[event.audit_entry.rule]]\npath = \"actorId\"\nmode = \"redact\"\n\
    [[event.audit_entry.rule]]\npath = \"metadata.webhookId\"\nmode = \"remove\"\n\
    [[event.audit_entry.rule]]\npath = \"metadata.because\"\nmode = \"encrypt\"\n";

fn events(bundle: &[u8]) -> Vec<Event> {
    let text = std::str::from_utf8(container::read(bundle).unwrap()["events.ndjson"]).unwrap();
    text.lines().map(|line| Event::parse(line).unwrap()).collect()
}

both_databases! {
    async fn the_bundle_of_every_job_verifies_and_is_the_same_twice(house: House) {
        let jobs = house.jobs_with_a_past().await;
        for id in &jobs {
            let bundle = house.bundle(id, &Wishes::default()).await;
            let checked = house.check(&bundle).unwrap();
            assert!(checked.is_trusted);
            assert_eq!((checked.receipts, checked.manifest.scope.job.as_ref()), (1, Some(id)));
            let at: i64 = house.number(&format!(r#"SELECT count(*) AS n FROM "AuditLog" WHERE "resourceId"='{id}'"#)).await;
            assert_eq!(checked.manifest.events, at.unsigned_abs());
            assert_eq!(house.bundle(id, &Wishes::default()).await, bundle);
            assert!(!verify(&bundle, &[], None).unwrap().is_trusted);
            let other = crate::house::signer().public_key().clone();
            assert_eq!(verify(&bundle, &[other], None).unwrap_err().part, Part::Manifest);
            let files = container::read(&bundle).unwrap();
            assert!(files.contains_key(format!("receipts/{id}.tlog-proof").as_str()));
            let page = std::str::from_utf8(files["report.html"]).unwrap();
            assert!(page.contains(id.as_str()) && !page.contains("<script"));
        }
        let all = house.bundle_of_shop(ADA, &Wishes::default()).await;
        let checked = house.check(&all).unwrap();
        assert!(checked.receipts >= 4, "{}", checked.receipts);
        let nothing = house.app().bundles().of_job("gdpr_0", &Wishes::default()).await;
        assert!(matches!(nothing, Err(BundleError::Nothing)));
    }

    /// Right after a checkpoint there is a second in which nothing is signed.
    async fn what_is_too_new_to_be_signed_makes_no_bundle_that_looks_forged(house: House) {
        house.long_ago();
        house.append(1).await;
        house.tend().await.unwrap();
        let job = house.done(&crate::house::Webhook::customers_redact(ADA, &[1001_u64])).await.id;
        let early = house.app().bundles().of_job(&job, &Wishes::default()).await;
        assert!(matches!(early, Err(BundleError::Nothing)), "{early:?}");
        // The same in a log whose beginning is pruned.
        house.log().prune(house.clock.now()).await.unwrap();
        let early = house.app().bundles().of_job(&job, &Wishes::default()).await;
        assert!(matches!(early, Err(BundleError::Nothing)), "{early:?}");
        house.advance(chrono::TimeDelta::seconds(2));
        let bundle = house.bundle(&job, &Wishes::default()).await;
        assert_eq!(house.check(&bundle).unwrap().receipts, 1);
    }

    async fn a_redacted_bundle_verifies_against_the_same_root_and_tells_less(house: House) {
        let jobs = house.jobs_with_a_past().await;
        let (policy, engine) = (Policy::parse(POLICY).unwrap(), Engine::new(Arc::new(Keyring::generate())));
        let redacted = Wishes { redact: Some((&policy, &engine)), without_receipts: true, earlier: None };
        for id in &jobs {
            let (whole, less) = (house.bundle(id, &Wishes::default()).await, house.bundle(id, &redacted).await);
            let (whole_checked, checked) = (house.check(&whole).unwrap(), house.check(&less).unwrap());
            assert_eq!(checked.manifest.checkpoint, whole_checked.manifest.checkpoint);
            assert_eq!((whole_checked.manifest.withheld, checked.receipts), (0, 0));
            assert!(checked.manifest.withheld >= 2 * checked.manifest.events);
            let text = String::from_utf8_lossy(&less);
            assert!(!text.contains("myshopify.com") && text.contains("hash:"), "{id}");
            for event in events(&less) {
                assert!(event.value("shopDomain").is_none() || event.value("shopDomain").unwrap().is_null());
            }
        }
        let forbidden = Policy::parse("version = 1\n[[rule]]\npath = \"metadata.status\"\nmode = \"redact\"\n").unwrap();
        let wishes = Wishes { redact: Some((&forbidden, &engine)), without_receipts: false, earlier: None };
        let refused = house.app().bundles().of_job(&jobs[3], &wishes).await;
        assert!(matches!(refused, Err(BundleError::MustBeTold(_))));
    }

    async fn a_bundle_proves_that_the_log_has_grown_from_an_earlier_checkpoint(house: House) {
        house.settle_town().await;
        let job = house.done(&crate::house::Webhook::customers_redact(ADA, &[1001_u64])).await;
        let log = house.app().log();
        log.tend().await.unwrap();
        let earlier = log.latest().await.unwrap().unwrap();
        house.advance(chrono::TimeDelta::seconds(5));
        house.done(&crate::house::Webhook::customers_redact(ADA, &[1002_u64])).await;
        let note = earlier.note().as_bytes();
        let wishes = Wishes { earlier: Some(&earlier), ..Wishes::default() };
        let bundle = house.bundle(&job.id, &wishes).await;
        let keys = [house.key()];
        let checked = verify(&bundle, &keys, Some(note)).unwrap();
        assert!(checked.manifest.checkpoint.size > earlier.checkpoint().size);
        let without = house.bundle(&job.id, &Wishes::default()).await;
        assert_eq!(verify(&without, &keys, Some(note)).unwrap_err().part, Part::EarlierCheckpoint);
        // The other way round, the log would have shrunk.
        let later = container::read(&bundle).unwrap()["checkpoint.txt"].to_vec();
        let bundles: BTreeMap<&str, &[u8]> = container::read(&bundle).unwrap();
        assert!(bundles.contains_key("consistency.txt"));
        assert!(verify(&bundle, &keys, Some(&later)).is_ok());
        let of_another = crate::house::House::sqlite().await;
        of_another.app().log().tend().await.unwrap();
        of_another.leaves_jobs();
        of_another.post(&crate::house::Webhook::shop_redact(ADA)).await;
        of_another.app().log().tend().await.unwrap();
        let other = of_another.app().log().latest().await.unwrap().unwrap();
        assert_eq!(verify(&bundle, &keys, Some(other.note().as_bytes())).unwrap_err().part, Part::EarlierCheckpoint);
    }
}
