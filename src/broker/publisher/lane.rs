//! One channel and the task that publishes on it.

use std::future::Future;

use futures_util::FutureExt as _;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::ShortString;
use lapin::{Channel, Connection};
use tokio::sync::mpsc;

use super::verdict::{Answer, Returned, Settled};
use super::{Caller, Job, PublishError};

/// Publishes of one lane that may wait for their confirms; beyond it callers wait for room, up to their timeout.
const IN_FLIGHT_MAX: usize = 2_048;

/// Messages that may wait for their lane.
const WAITING_MAX: usize = 256;

/// A channel in confirm mode with the messages that wait for it.
pub struct Lane {
    channel: Channel,
    jobs: mpsc::Receiver<Job>,
    /// Where a lane says that a message came back.
    returns: mpsc::Sender<()>,
}

impl Lane {
    pub async fn open(connection: &Connection, returns: mpsc::Sender<()>) -> lapin::Result<(mpsc::Sender<Job>, Self)> {
        let channel = connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        let (address, jobs) = mpsc::channel(WAITING_MAX);
        Ok((address, Self { channel, jobs, returns }))
    }

    /// Publishes until nobody has its address and every publish has its verdict, or until the channel breaks. Callers
    /// that are left then learn that their publish is lost, because the address for the verdict is dropped.
    pub async fn run(mut self) {
        let mut in_flight = FuturesUnordered::new();
        let mut returned = Returned::default();
        let mut jobs = Vec::with_capacity(WAITING_MAX);
        let mut settled = Vec::new();
        let mut next_number = 0_u64;
        let mut open = true;
        while open || !in_flight.is_empty() {
            let room = IN_FLIGHT_MAX.saturating_sub(in_flight.len()).min(WAITING_MAX);
            tokio::select! {
                received = self.jobs.recv_many(&mut jobs, room), if open && room > 0 => {
                    open = received > 0;
                    for job in jobs.drain(..).filter(|job| !job.caller.is_closed()) {
                        next_number += 1;
                        in_flight.push(send(&self.channel, next_number, job));
                    }
                }
                Some(first) = in_flight.next() => {
                    settled.push(first);
                    while let Some(Some(more)) = in_flight.next().now_or_never() {
                        settled.push(more);
                    }
                    if !self.deliver(&mut returned, &mut settled) {
                        return;
                    }
                }
            }
        }
    }

    /// Gives each caller its verdict; false when the channel is of no more use.
    fn deliver(&self, returned: &mut Returned, settled: &mut Vec<Settled<Caller>>) -> bool {
        let mut usable = true;
        for (caller, verdict) in returned.judge(settled) {
            match verdict {
                Err(PublishError::Lost) => usable &= self.channel.status().connected(),
                Err(PublishError::NotConfirmed) => usable = false,
                // The supervisor declares the topology again; one notice at a time is enough.
                Err(PublishError::Unroutable) => drop(self.returns.try_send(())),
                _ => {}
            }
            // A caller that no longer waits has timed out, and was told so.
            let _ = caller.send(verdict);
        }
        usable
    }
}

/// The first poll numbers the publish and queues its frames in one go.
fn send(channel: &Channel, number: u64, job: Job) -> impl Future<Output = Settled<Caller>> + '_ {
    let Job { parcel, caller } = job;
    async move {
        let options = BasicPublishOptions { mandatory: true, immediate: false };
        // The id that a returned message is known by: message ids repeat when a sender repeats itself.
        let correlation_id = ShortString::from(number.to_string());
        let properties = parcel.properties.with_correlation_id(correlation_id);
        let published =
            channel.basic_publish(parcel.exchange, parcel.routing_key, options, &parcel.body, properties).await;
        let answer = match published {
            Ok(confirm) => Answer::from(confirm.await),
            Err(_) => Answer::Lost,
        };
        Settled { number, answer, caller }
    }
}
