//! From the first row to `ready`, and what a crash in between leaves.

use chrono::TimeDelta;
use efface::erasure::subject::Target;
use efface::export::{Collecting, Expired, Kept, expire};
use efface::job::command::Command;
use efface::store::gdpr_job::Claimed;
use entity::export_package::{Entity, PackageStatus};
use entity::gdpr_job::JobStatus;
use sea_orm::EntityTrait as _;

use super::stage::{audited, files, package, parts, written};
use crate::house::{ADA, House, Webhook};

fn begun(house: &House, claim: &Claimed) -> Collecting {
    let target = Target::of_subject(&claim.id, ADA, &claim.payload, "orders_requested").unwrap();
    house.app().tools().exporter.collect(claim, &target)
}

/// One step, as the worker takes it.
async fn step(house: &House, collecting: &mut Collecting) -> Result<Kept, efface::store::StoreError> {
    collecting.ready().await?;
    let tx = house.store().begin_write().await?;
    let kept = collecting.keep(&*tx, house.clock.now()).await?;
    tx.commit().await?;
    Ok(kept)
}

both_databases! {
    async fn a_crash_before_the_end_leaves_a_package_that_the_next_attempt_discards(house: House) {
        house.settle_town().await;
        let job = house.post(&Webhook::data_request(ADA, &["1001", "1004"])).await;
        let claim = house.claim("doomed", 1).await.remove(0);
        let mut collecting = begun(&house, &claim);
        for _ in 0..3 {
            assert_eq!(step(&house, &mut collecting).await.unwrap(), Kept::Part);
        }
        let half = package(&house, &job).await;
        assert_eq!((half.status, parts(&house).await.len()), (PackageStatus::Collecting, 2));
        assert!(house.app().packages().make_link(super::stage::operator(), &job, None).await.is_err());
        drop(collecting);

        house.let_leases_expire();
        house.rescue().await;
        house.let_retries_come_due();
        house.work().await;
        assert_eq!(house.job(&job).await.status, JobStatus::Completed);
        assert_eq!(Entity::find().all(house.store().db()).await.unwrap().len(), 1);
        let whole = package(&house, &job).await;
        assert_eq!((whole.status, whole.rows_total), (PackageStatus::Ready, 18));
        assert_ne!(whole.id, half.id);
        assert!(parts(&house).await.iter().all(|part| part.package_id == whole.id));
        assert!(files(&written(house.app(), &job, None).await).contains_key("manifest.json"));
    }

    async fn an_attempt_that_was_overtaken_keeps_no_further_part(house: House) {
        house.settle_town().await;
        house.leaves_jobs();
        house.post(&Webhook::data_request(ADA, &["1001", "1004"])).await;
        let claim = house.claim("slow", 1).await.remove(0);
        let (mut slow, mut fast) = (begun(&house, &claim), begun(&house, &claim));
        for _ in 0..2 {
            step(&house, &mut slow).await.unwrap();
        }
        while step(&house, &mut fast).await.unwrap() == Kept::Part {}
        let refused = step(&house, &mut slow).await;
        assert!(refused.is_err(), "{refused:?}");
        assert!(parts(&house).await.iter().all(|part| part.package_id == fast.package_id()));
        assert_eq!(parts(&house).await.len(), 4);
    }

    async fn all_tables_are_read_in_one_snapshot(house: House) {
        house.settle_town().await;
        house.leaves_jobs();
        let job = house.post(&Webhook::data_request(ADA, &["1001"])).await;
        let claim = house.claim("reader", 1).await.remove(0);
        let mut collecting = begun(&house, &claim);
        // The first part is of the first table; the reader waits with the second, and has the others still before it.
        step(&house, &mut collecting).await.unwrap();
        collecting.ready().await.unwrap();
        house.execute(r#"DELETE FROM "SurveyResponse""#).await;
        let counts = loop {
            if let Kept::All(counts) = step(&house, &mut collecting).await.unwrap() {
                break counts;
            }
        };
        assert_eq!(counts["exportedSurveyResponses"], 1, "{counts:?}");
        assert_eq!(package(&house, &job).await.rows_total, 6);
    }

    async fn what_a_job_that_was_given_up_has_collected_goes_after_a_day(house: House) {
        house.settle_town().await;
        let job = house.post(&Webhook::data_request(ADA, &["1001"])).await;
        let claim = house.claim("doomed", 1).await.remove(0);
        let mut collecting = begun(&house, &claim);
        for _ in 0..2 {
            step(&house, &mut collecting).await.unwrap();
        }
        house.let_leases_expire();
        house.rescue().await;
        house.command(&job, Command::Cancel { reason: "withdrawn".to_owned(), signer: house.app().signer().clone() }).await.unwrap();
        assert_eq!(expire(house.store(), &house.clock).await.unwrap(), Expired { packages: 0 });
        house.advance(TimeDelta::days(1));
        assert_eq!(expire(house.store(), &house.clock).await.unwrap(), Expired { packages: 1 });
        assert!(parts(&house).await.is_empty());
        assert_eq!(audited(&house).await.pop().unwrap().2["because"], "its collecting was given up");
    }
}
