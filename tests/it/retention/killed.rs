//! Two schedulers at once, as processes, and the one that leads is killed with SIGKILL fifty times, wherever it is.
//!
//! A trigger writes down each row that goes and when: see [`books`].

mod books;

use std::time::Duration;

use chrono::TimeDelta;
use efface::store::scheduler_lease::{self, SCHEDULER};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::house::House;
use crate::outside::program::{Plan, Program};
use crate::outside::wait_for;
use books::Books;

const DEATHS: u32 = 50;
/// The lease of so many of the dead runs out by itself; that of the others is ended by the test.
const LAPSES: u32 = 8;
/// Longest time that somebody may take to lead, to begin or to finish. A machine may be very busy.
const PATIENCE: Duration = Duration::from_mins(4);
/// No row is added to come due later than this from now.
const SOON_MS: i64 = 45_000;

/// Who stands for leadership, and what is left of those who did.
struct Candidates<'a> {
    house: &'a House,
    plans: [Plan; 2],
    alive: [Option<Program>; 2],
}

impl<'a> Candidates<'a> {
    async fn start(house: &'a House, folder: &std::path::Path) -> Self {
        let plans = ["first", "second"].map(|name| {
            house.environment().into_iter().fold(Plan::new(folder, name, "scheduler"), |plan, (key, value)| {
                plan.with(key.trim_start_matches("EFFACE__"), value)
            })
        });
        let plans = plans.map(|plan| {
            plan.with("DATA_MAP__FAIL_ON", "never")
                .with("RETENTION__SCHEDULE", "* * * * *")
                .with("RETENTION__LEASE_SECONDS", 1)
                .with("RETENTION__MAX_SHARE", 100)
                .with("RETENTION__TRANSACTION_MAX_MS", 10)
                .with("RETENTION__PAUSE_PERCENT", 1_000)
        });
        let mut candidates = Self { house, plans, alive: [None, None] };
        candidates.replace_the_dead().await;
        candidates
    }

    async fn replace_the_dead(&mut self) {
        for (plan, place) in self.plans.iter().zip(&mut self.alive) {
            if place.is_none() {
                *place = Some(Program::start(plan).await);
            }
        }
    }

    /// Which of those alive leads, if one does.
    async fn leader(&self) -> Option<usize> {
        let lease = scheduler_lease::find(self.house.store().db(), SCHEDULER).await.unwrap()?;
        let (id, _) = lease.owner.split_once('-')?;
        self.alive.iter().position(|alive| alive.as_ref().is_some_and(|program| program.id().to_string() == id))
    }

    /// SIGKILL. Every scheduled run since an hour ago counts as missed: whoever leads next has one to catch up on.
    async fn kill(&mut self, place: usize, lapses: bool) {
        let mut program = self.alive[place].take().unwrap();
        self.miss_runs().await;
        program.kill();
        self.miss_runs().await;
        if !lapses {
            // As if its time had passed, but sooner: the next one stands while the database is still busy with this one.
            let past = super::iso(self.house.clock.now() - TimeDelta::hours(1));
            let id = program.id();
            let sql = format!(r#"UPDATE "SchedulerLease" SET "leaseUntil"='{past}' WHERE "owner" LIKE '{id}-%'"#);
            self.house.execute(&sql).await;
        }
    }

    async fn miss_runs(&self) {
        let lease = scheduler_lease::find(self.house.store().db(), SCHEDULER).await.unwrap().unwrap();
        let missed = self.house.clock.now() - TimeDelta::hours(1);
        scheduler_lease::deal_with(self.house.store(), SCHEDULER, lease.fence, missed).await.unwrap();
    }
}

async fn begun(house: &House) -> i64 {
    house.number(r#"SELECT count(*) AS "n" FROM "RetentionRun""#).await
}

both_databases! {
    async fn every_row_goes_once_whenever_leaders_are_killed(house: House) {
        let mut rng = StdRng::seed_from_u64(20_261_121);
        let folder = tempfile::tempdir().unwrap();
        let mut books = Books::open(&house).await;
        books.add(&mut rng, &house, SOON_MS).await;
        let mut candidates = Candidates::start(&house, folder.path()).await;
        let (mut both, mut idle) = (0, 0);
        for death in 0..DEATHS {
            books.add(&mut rng, &house, SOON_MS).await;
            let before = begun(&house).await;
            let leader = wait_for("somebody leads", PATIENCE, async || candidates.leader().await).await;
            if death == 0 {
                // The first leader ever has missed nothing: it dies without a run.
                idle += 1;
            } else if rng.random_bool(0.8) {
                wait_for("a run begins", PATIENCE, async || (begun(&house).await > before).then_some(())).await;
            }
            tokio::time::sleep(Duration::from_micros(rng.random_range(0..400_000))).await;
            candidates.kill(leader, death % (DEATHS / LAPSES) == 0).await;
            if rng.random_bool(0.2) && candidates.alive[1 - leader].is_some() {
                candidates.kill(1 - leader, false).await;
                both += 1;
            }
            candidates.replace_the_dead().await;
        }
        // Everything that was to come due has, and the last two are left alone until it is gone.
        wait_for("the last row comes due", PATIENCE, async || books.has_all_come_due(&house).then_some(())).await;
        for place in [0, 1] {
            candidates.kill(place, false).await;
        }
        candidates.plans = candidates.plans.map(|plan| plan.with("RETENTION__LEASE_SECONDS", 6));
        candidates.replace_the_dead().await;
        wait_for("everything that is due is gone", PATIENCE, async || books.is_all_gone(&house).await.then_some(())).await;
        let open = r#"SELECT count(*) AS "n" FROM "RetentionRun" WHERE "finishedAt" IS NULL AND "error" IS NULL"#;
        let dealt_with = async || {
            let lease = scheduler_lease::find(house.store().db(), SCHEDULER).await.unwrap().unwrap();
            let slot = lease.slot_at.unwrap();
            (slot > house.clock.now() - TimeDelta::minutes(30) && house.number(open).await == 0).then_some(())
        };
        wait_for("the last run ends", PATIENCE, dealt_with).await;
        for program in candidates.alive.iter_mut().flatten() {
            assert!(program.stop().await.success());
        }

        let totals = books.compare(&house).await;
        println!("{totals}; {DEATHS} leaders killed, {both} times the other one with them, {idle} before any run");
        assert!(totals.interrupted >= 5, "hardly anybody died in the middle of a run: the test tests nothing");
    }
}
