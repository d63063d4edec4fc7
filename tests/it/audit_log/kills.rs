//! A process may be killed between any two steps; what is left is whole, and the next process goes on from there.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use efface::evidence::log::{LogError, Step};

use crate::house::House;

both_databases! {
    async fn a_kill_between_any_two_steps_leaves_a_log_that_verifies_and_goes_on(house: House) {
        house.long_ago();
        let mut leaves = BTreeMap::new();
        let mut appended = 0;
        let mut reached = 0;
        for step in Step::ALL {
            house.append(7).await;
            appended += 7;
            house.advance(TimeDelta::days(1));
            let killed = house.log().stopped_at(move |at| at == step);
            // Everything before the last round is a day old: pruned, as far as it is signed.
            let cutoff = house.clock.now() - TimeDelta::hours(12);
            let mut outcome = killed.tend().await.map(|_| ());
            house.verify_log(&mut leaves).await;
            if outcome.is_ok() {
                outcome = killed.prune(cutoff).await.map(|_| ());
            }
            match outcome {
                Err(LogError::Stopped(at)) => {
                    assert_eq!(at, step);
                    reached += 1;
                }
                other => panic!("{step:?} was not reached: {other:?}"),
            }
            house.verify_log(&mut leaves).await;

            // The next process.
            house.append(2).await;
            appended += 2;
            house.tend().await.unwrap();
            house.verify_log(&mut leaves).await;
            let pruned = house.log().prune(cutoff).await.unwrap();
            house.tend().await.unwrap();
            house.verify_log(&mut leaves).await;
            let bodies = house.number(r#"SELECT count(*) AS n FROM "AuditLog""#).await;
            let entries = house.log().head().await.unwrap().size;
            assert_eq!(u64::try_from(bodies).unwrap(), entries - pruned.minimum_index, "after {step:?}");
            assert!(entries >= appended, "after {step:?}: {entries} of {appended}");
        }
        assert_eq!(reached, Step::ALL.len());
    }

    /// The process that is killed is in the middle of a statement, or of waiting: its future is dropped wherever it stands.
    async fn a_process_that_disappears_at_any_wait_leaves_a_log_that_verifies(house: House) {
        let mut leaves = BTreeMap::new();
        let mut polls = 1;
        loop {
            house.append(3).await;
            house.advance(TimeDelta::seconds(2));
            let log = house.log();
            let mut tended = Box::pin(log.tend());
            let mut left = polls;
            let ended = std::future::poll_fn(|cx| {
                left -= 1;
                match tended.as_mut().poll(cx) {
                    std::task::Poll::Ready(_) => std::task::Poll::Ready(true),
                    std::task::Poll::Pending if left == 0 => std::task::Poll::Ready(false),
                    std::task::Poll::Pending => std::task::Poll::Pending,
                }
            })
            .await;
            drop(tended);
            house.verify_log(&mut leaves).await;
            if ended {
                break;
            }
            polls += 1;
        }
        assert!(polls > 4, "dropped at {polls} waits only");
        house.tend().await.unwrap();
        let tree = house.verify_log(&mut leaves).await;
        assert_eq!(tree.size(), 3 * polls);
    }
}
