//! What the log costs: printed, not judged, and only when asked for.
//!
//! `EFFACE_TEST_MEASURE=1 cargo nextest run --test it audit_log::cost --no-capture`

use std::time::{Duration, Instant};

use efface::shutdown::Shutdown;

use crate::house::{House, Webhook};

const ENTRIES: usize = 20_000;
const JOBS: u64 = 1_500;

impl House {
    /// Takes webhooks in and works them; returns jobs per second.
    async fn jobs_per_second(&self, round: u64) -> f64 {
        let begun = Instant::now();
        for batch in 0..JOBS / 250 {
            let webhook = |n: u64| {
                Webhook::customers_redact("nobody.myshopify.com", &[round * JOBS + batch * 250 + n]).without_id()
            };
            self.accept(&(0..250).map(webhook).collect::<Vec<_>>()).await;
            self.work().await;
        }
        #[expect(clippy::cast_precision_loss, reason = "a rate")]
        let jobs = JOBS as f64;
        jobs / begun.elapsed().as_secs_f64()
    }
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

both_databases! {
    async fn measured(house: House) {
        if std::env::var_os("EFFACE_TEST_MEASURE").is_none() {
            return;
        }
        let begun = Instant::now();
        house.append(ENTRIES).await;
        let appended = begun.elapsed();
        let begun = Instant::now();
        house.log().sequence().await.unwrap();
        let placed = begun.elapsed();
        let begun = Instant::now();
        house.tend().await.unwrap();
        let signed = begun.elapsed();
        let begun = Instant::now();
        for n in 0..100_u64 {
            house.log().inclusion(n * 199, 20_000).await.unwrap();
        }
        let proof = begun.elapsed() / 100;
        let each = |took: Duration| took / u32::try_from(ENTRIES).unwrap();
        println!("append {:?} an entry, place {:?}, sign {signed:?}, inclusion proof {proof:?}", each(appended), each(placed));

        let (mut off, mut on) = (Vec::new(), Vec::new());
        for round in 0..10 {
            if round % 2 == 0 {
                off.push(house.jobs_per_second(round).await);
                continue;
            }
            // What the other round left is placed before, so that each pays for its own entries only.
            house.log().sequence().await.unwrap();
            let shutdown = Shutdown::new();
            let kept = tokio::spawn(efface::scheduler::keep_log(house.log(), Duration::from_secs(1), shutdown.clone()));
            on.push(house.jobs_per_second(round).await);
            shutdown.cancel();
            kept.await.unwrap();
        }
        let (off, on) = (median(off), median(on));
        println!("jobs per second, not placed and signed: {off:.0}; placed and signed meanwhile: {on:.0}; {:.1} %", 100.0 * on / off);
    }
}
