//! Gathers webhooks that arrive at the same time into one transaction: they share its flush to disk.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::{Accepted, NotDurable};
use crate::intake::{Arrival, Intake, IntakeError};

/// Webhooks of one transaction at most.
const BATCH_MAX: usize = 256;
/// Webhooks that may wait; more are told to come back.
const WAITING_MAX: usize = 4_096;
/// How long a sender waits. Shopify gives up after 5 s in all.
const PATIENCE: Duration = Duration::from_secs(3);

type Waiting = (Arrival, oneshot::Sender<Result<Accepted, NotDurable>>);

/// The counter at which webhooks queue for the database. Cheap to clone; closes when the last clone is gone.
#[derive(Clone, Debug)]
pub struct Desk {
    queue: mpsc::Sender<Waiting>,
}

impl Desk {
    /// Opens the counter; needs a Tokio runtime.
    pub fn open(intake: Intake) -> Self {
        let (queue, mut waiting) = mpsc::channel::<Waiting>(WAITING_MAX);
        tokio::spawn(async move {
            let mut batch = Vec::with_capacity(BATCH_MAX);
            while waiting.recv_many(&mut batch, BATCH_MAX).await > 0 {
                record(&intake, std::mem::take(&mut batch)).await;
            }
        });
        Self { queue }
    }

    /// Queues one webhook and waits until it is committed.
    pub async fn take(&self, arrival: Arrival) -> Result<Accepted, NotDurable> {
        let (verdict, answer) = oneshot::channel();
        self.queue.try_send((arrival, verdict)).map_err(|_| NotDurable)?;
        match tokio::time::timeout(PATIENCE, answer).await {
            Ok(Ok(verdict)) => verdict,
            _ => Err(NotDurable),
        }
    }
}

async fn record(intake: &Intake, batch: Vec<Waiting>) {
    // Whoever has given up waiting was told to come back, and will.
    let (arrivals, verdicts): (Vec<Arrival>, Vec<_>) =
        batch.into_iter().filter(|(_, verdict)| !verdict.is_closed()).unzip();
    if arrivals.is_empty() {
        return;
    }
    match intake.accept(arrivals).await {
        Ok(accepted) => {
            for (accepted, verdict) in accepted.into_iter().zip(verdicts) {
                let accepted = Accepted { job_id: accepted.job_id, duplicate: accepted.duplicate };
                let _ = verdict.send(Ok(accepted));
            }
        }
        Err(error) => {
            refused(&error, verdicts.len());
            for verdict in verdicts {
                let _ = verdict.send(Err(NotDurable));
            }
        }
    }
}

fn refused(error: &IntakeError, webhooks: usize) {
    metrics::counter!("efface_intake_failed_total").increment(webhooks as u64);
    tracing::warn!(error = %error, webhooks, "the database did not take webhooks; their senders were told to come back");
}
