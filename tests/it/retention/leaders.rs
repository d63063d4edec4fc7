//! Two schedulers at once, and leaders that die at any moment.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use efface::evidence::merkle::{verify_consistency, verify_inclusion};
use efface::scheduler::leader::Leader;
use efface::shutdown::Shutdown;
use efface::store::scheduler_lease;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::{answer, answers, iso};
use crate::house::{ADA, House};

const EVERY_MINUTE: (&str, &str) = ("retention.schedule", "* * * * *");

async fn leader(house: &House) -> Leader {
    house.another(&[EVERY_MINUTE, ("retention.max_share", "100")]).await.leader(Shutdown::new())
}

async fn sweeps(house: &House) -> i64 {
    house.number(r#"SELECT count(DISTINCT "sweepId") AS "n" FROM "RetentionRun" WHERE "trigger"='schedule'"#).await
}

both_databases! {
    async fn one_leads_and_the_next_catches_up_once(house: House) {
        house.open_shop(ADA).await;
        answer(&house, "1", ADA, 4_000).await;
        let (mut first, mut second) = (leader(&house).await, leader(&house).await);
        first.tick().await.unwrap();
        second.tick().await.unwrap();
        assert!(first.leads() && !second.leads());
        // Nothing was missed before the first leader ever.
        first.finish_run().await.unwrap();
        assert_eq!(sweeps(&house).await, 0);

        // Ten runs are missed, and the leader dies: its lease runs out.
        drop(first);
        second.tick().await.unwrap();
        assert!(!second.leads(), "the lease has not run out");
        house.advance(TimeDelta::minutes(10));
        second.tick().await.unwrap();
        assert!(second.leads());
        second.finish_run().await.unwrap();
        second.tick().await.unwrap();
        second.finish_run().await.unwrap();
        assert_eq!((sweeps(&house).await, answers(&house).await), (1, 0));
        house.advance(TimeDelta::seconds(61));
        second.tick().await.unwrap();
        second.finish_run().await.unwrap();
        assert_eq!(sweeps(&house).await, 2);
    }

    /// A run that died holds its lease for a while; whoever leads next begins as soon as that is over.
    async fn a_run_that_finds_another_at_work_begins_as_soon_as_it_may(house: House) {
        house.open_shop(ADA).await;
        answer(&house, "1", ADA, 4_000).await;
        let mut leader = leader(&house).await;
        leader.tick().await.unwrap();
        house.advance(TimeDelta::seconds(61));
        let taken = scheduler_lease::take(house.store(), &house.clock, scheduler_lease::RETENTION, "who died", 5_000).await;
        assert!(taken.unwrap().is_some());
        leader.tick().await.unwrap();
        leader.finish_run().await.unwrap();
        assert_eq!((sweeps(&house).await, answers(&house).await), (0, 1));
        house.advance(TimeDelta::seconds(6));
        leader.tick().await.unwrap();
        leader.finish_run().await.unwrap();
        assert_eq!((sweeps(&house).await, answers(&house).await), (1, 0));
    }

    async fn the_audit_log_is_pruned_on_schedule_and_verifies(house: House) {
        let mut leaves = BTreeMap::new();
        house.advance(TimeDelta::days(-181));
        house.append(300).await;
        house.tend().await.unwrap();
        house.verify_log(&mut leaves).await;
        house.advance(TimeDelta::days(181));
        house.append(20).await;
        house.tend().await.unwrap();
        let before = house.verify_log(&mut leaves).await;
        let mut leader = leader(&house).await;
        leader.tick().await.unwrap();
        house.advance(TimeDelta::seconds(61));
        leader.tick().await.unwrap();
        leader.finish_run().await.unwrap();
        let pruned = r#"SELECT CAST(sum("rowsPurged") AS bigint) AS "n" FROM "RetentionRun" WHERE "tableName"='AuditLog' AND "error" IS NULL"#;
        assert_eq!(house.number(pruned).await, 300);
        house.tend().await.unwrap();
        let after = house.verify_log(&mut leaves).await;
        assert!(after.size() > before.size());
        assert_eq!(house.log().head().await.unwrap().minimum_index, 300);
        assert!(house.audit_entries().await.iter().all(|listed| listed.index.is_none_or(|index| index >= 300)));
        // What somebody was given before still proves to lie in the tree of now.
        let proof = house.log().inclusion(7, after.size()).await.unwrap();
        verify_inclusion(&leaves[&7], 7, after.size(), &proof, &after.root()).unwrap();
        let proof = house.log().consistency(before.size(), after.size()).await.unwrap();
        verify_consistency(before.size(), &before.root(), after.size(), &after.root(), &proof).unwrap();
    }

    async fn a_leader_that_slept_past_its_lease_follows(house: House) {
        let (mut first, mut second) = (leader(&house).await, leader(&house).await);
        first.tick().await.unwrap();
        house.advance(TimeDelta::seconds(30));
        second.tick().await.unwrap();
        first.tick().await.unwrap();
        assert!(!first.leads() && second.leads());
        let lease = scheduler_lease::find(house.store().db(), scheduler_lease::SCHEDULER).await.unwrap().unwrap();
        assert_eq!(lease.fence, 2);
    }

    /// Fifty times: rows come due, a leader starts a run and dies at a random moment of it, another takes over.
    async fn every_row_goes_once_whoever_dies(house: House) {
        const DEATHS: i64 = 50;
        let mut rng = StdRng::seed_from_u64(4_711);
        house.open_shop(ADA).await;
        let (mut due, mut caught) = (0_i64, 0);
        let mut leaders = vec![leader(&house).await, leader(&house).await];
        for leader in &mut leaders {
            leader.tick().await.unwrap();
        }
        for death in 0..DEATHS {
            let many = rng.random_range(1..40);
            let old = iso(house.clock.now() - TimeDelta::days(91));
            let fresh = iso(house.clock.now() - TimeDelta::days(89));
            let row = |n: i64, at: &str| format!("('{death} {n} {at}','id of {ADA}','1',5,'{at}')");
            let rows: Vec<String> = (0..many).flat_map(|n| [row(n, &old), row(n, &fresh)]).collect();
            house.execute(&format!(
                r#"INSERT INTO "SurveyResponse" ("id","shopId","orderId","rating","createdAt") VALUES {}"#, rows.join(","))).await;
            due += many;
            house.advance(TimeDelta::seconds(61));
            let mut led = None;
            for (place, leader) in leaders.iter_mut().enumerate() {
                leader.tick().await.unwrap();
                if leader.leads() {
                    led = Some(place);
                }
            }
            let place = led.expect("somebody leads");
            if rng.random_bool(0.1) {
                leaders[place].finish_run().await.unwrap();
                caught += 1;
            } else {
                for _ in 0..rng.random_range(0..400) {
                    tokio::task::yield_now().await;
                }
                tokio::time::sleep(std::time::Duration::from_micros(rng.random_range(0..30_000))).await;
            }
            leaders[place] = leader(&house).await;
        }
        house.advance(TimeDelta::seconds(61));
        for leader in &mut leaders {
            leader.tick().await.unwrap();
            leader.finish_run().await.unwrap();
        }
        assert!(caught < DEATHS);
        assert_eq!(answers(&house).await, due, "the fresh rows stay, and only they");
        let counted = house
            .number(r#"SELECT CAST(sum("rowsPurged") AS bigint) AS "n" FROM "RetentionRun" WHERE "tableName"='SurveyResponse'"#)
            .await;
        assert_eq!(counted, due, "every row is counted once");
        let interrupted = house.number(r#"SELECT count(*) AS "n" FROM "RetentionRun" WHERE "error"='interrupted'"#).await;
        println!("{due} rows, {DEATHS} leaders lost, {caught} after their run, {interrupted} passes cut off");
        assert!(interrupted > 0, "nobody died in the middle of a run: the test tests nothing");
    }
}
