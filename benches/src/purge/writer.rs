//! The app: updates rows of the table at a steady rate, and keeps how long each update took from the time it was due.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};

use super::table::Table;
use crate::database;

/// In milliseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Latencies {
    pub count: u64,
    pub p50: f64,
    pub p99: f64,
    pub max: f64,
}

/// When each update was due, and how long it took.
pub type Updates = Vec<(Instant, Duration)>;

impl Latencies {
    pub fn of(updates: &[(Instant, Duration)]) -> anyhow::Result<Self> {
        let mut histogram = Histogram::<u64>::new_with_bounds(1, 60_000_000, 3)?;
        for (_, took) in updates {
            histogram.saturating_record(u64::try_from(took.as_micros())?);
        }
        let at = |quantile: f64| histogram.value_at_quantile(quantile) as f64 / 1e3;
        Ok(Self { count: histogram.len(), p50: at(0.5), p99: at(0.99), max: histogram.max() as f64 / 1e3 })
    }
}

#[derive(Debug)]
pub struct Writer {
    stop: Arc<AtomicBool>,
    task: JoinHandle<anyhow::Result<Updates>>,
}

impl Writer {
    /// Updates rows that have not expired, all over the table's second half.
    pub async fn start(url: &str, table: &Table, per_second: u32) -> anyhow::Result<Self> {
        let client = database::connect(url).await?;
        let statement = client.prepare("update visit set attempts = attempts + 1 where id = $1").await?;
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, first, rows) = (Arc::clone(&stop), table.expired(), table.rows - table.expired());
        let task = tokio::spawn(async move {
            let mut updates = Updates::new();
            let started = Instant::now();
            let mut number = 0_u64;
            while !stopped.load(Ordering::Relaxed) {
                let due = started + Duration::from_secs_f64(number as f64 / f64::from(per_second.max(1)));
                sleep_until(due).await;
                // A timer that overslept is not the server's doing; a write that had to wait for the one before is.
                let since = if due + Duration::from_millis(2) > Instant::now() { Instant::now() } else { due };
                let id = i64::try_from(first + number.wrapping_mul(7_919) % rows)?;
                client.execute(&statement, &[&id]).await?;
                updates.push((since, since.elapsed()));
                number += 1;
            }
            Ok(updates)
        });
        Ok(Self { stop, task })
    }

    pub async fn stop_after(self, time: Duration) -> anyhow::Result<Updates> {
        sleep(time).await;
        self.stop.store(true, Ordering::Relaxed);
        self.task.await?
    }
}
