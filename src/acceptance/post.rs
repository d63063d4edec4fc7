//! Gathers the webhooks that arrive while others are on their way to the broker into one message: they share its journey,
//! its place in the log of the queue and its confirm. Alone, a webhook leaves at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::breaker::Breaker;
use super::carrier::Carrier;
use crate::broker::{Broker, Outgoing};
use crate::intake::Arrival;

/// With so many messages on their way, webhooks wait for the next one, together, until it is full.
const ENOUGH_ON_THE_WAY: usize = 2;
/// Messages that may be on their way, full ones included: a distant broker confirms late, and must not be the limit for that.
const ON_THE_WAY_MAX: usize = 128;
/// Webhooks of one message at most: whoever consumes holds many messages.
const WEBHOOKS_MAX: usize = 32;
/// A message that holds so many bytes of bodies takes no further webhook.
const BODIES_MAX: usize = 256 * 1024;
/// Webhooks that may wait; more go to the database.
const WAITING_MAX: usize = 4_096;
/// How long a sender waits. Shopify gives up after 5 s in all.
const PATIENCE: Duration = Duration::from_secs(4);
/// How long sealing may wait for a database that keeps the key and does not answer.
const SEALING: Duration = Duration::from_millis(500);

/// A webhook and the address for the verdict: the webhook comes back when the broker does not take it.
type Waiting = (Arrival, oneshot::Sender<Result<(), Arrival>>);

/// The counter at which webhooks queue for the broker. Cheap to clone; closes when the last clone is gone.
#[derive(Clone, Debug)]
pub struct Post {
    queue: mpsc::Sender<Waiting>,
}

impl Post {
    /// Opens the counter; needs a Tokio runtime.
    pub fn open(broker: Broker, carrier: Carrier, breaker: Arc<Breaker>) -> Self {
        let (queue, waiting) = mpsc::channel(WAITING_MAX);
        tokio::spawn(Sorter { broker, carrier, breaker }.run(waiting));
        Self { queue }
    }

    /// Queues one webhook and waits until the broker has confirmed it.
    ///
    /// # Errors
    /// The webhook, when it is not certain that the broker has it; none when there is no time left to try elsewhere.
    pub async fn send(&self, arrival: Arrival) -> Result<(), Option<Arrival>> {
        let (verdict, answer) = oneshot::channel();
        self.queue.try_send((arrival, verdict)).map_err(|error| Some(error.into_inner().0))?;
        match timeout(PATIENCE, answer).await {
            Ok(Ok(verdict)) => verdict.map_err(Some),
            _ => Err(None),
        }
    }
}

struct Sorter {
    broker: Broker,
    carrier: Carrier,
    breaker: Arc<Breaker>,
}

impl Sorter {
    async fn run(self, mut queue: mpsc::Receiver<Waiting>) {
        let mut on_the_way = FuturesUnordered::new();
        let mut waiting: Vec<Waiting> = Vec::with_capacity(WEBHOOKS_MAX);
        let mut open = true;
        while open || !waiting.is_empty() || !on_the_way.is_empty() {
            if may_leave(waiting.len(), on_the_way.len()) {
                on_the_way.extend(sorted(&mut waiting).into_iter().map(|message| self.deliver(message)));
            }
            let room = WEBHOOKS_MAX - waiting.len();
            tokio::select! {
                received = queue.recv_many(&mut waiting, room), if open && room > 0 => open = received > 0,
                Some(taken) = on_the_way.next() => {
                    // Whatever kept that message back keeps back what waits behind it: it would wait in vain.
                    while !taken && let Some((arrival, verdict)) = waiting.pop().or_else(|| queue.try_recv().ok()) {
                        let _ = verdict.send(Err(arrival));
                    }
                }
                else => {} // Nobody waits any more: those who did had given up.
            }
        }
    }

    /// Publishes one message, and tells everybody in it what became of it. Whether the broker took it.
    async fn deliver(&self, message: Vec<Waiting>) -> bool {
        let (arrivals, verdicts): (Vec<Arrival>, Vec<_>) = message.into_iter().unzip();
        let Some(packed) = pack(&self.carrier, &arrivals).await else {
            give_back(arrivals, verdicts);
            return false;
        };
        match self.broker.publish(packed).await {
            Ok(()) => {
                self.breaker.close();
                for verdict in verdicts {
                    let _ = verdict.send(Ok(()));
                }
                true
            }
            Err(error) => {
                if self.breaker.open(Instant::now()) {
                    tracing::warn!(error = %error, "the broker does not take webhooks; the database does for now");
                }
                give_back(arrivals, verdicts);
                false
            }
        }
    }
}

/// Whether those who wait go now: there is room, or they fill a message.
const fn may_leave(waiting: usize, on_the_way: usize) -> bool {
    waiting > 0 && (on_the_way < ENOUGH_ON_THE_WAY || waiting >= WEBHOOKS_MAX && on_the_way < ON_THE_WAY_MAX)
}

fn give_back(arrivals: Vec<Arrival>, verdicts: Vec<oneshot::Sender<Result<(), Arrival>>>) {
    for (arrival, verdict) in arrivals.into_iter().zip(verdicts) {
        let _ = verdict.send(Err(arrival));
    }
}

/// Puts webhooks of one topic together, in their order; whoever gave up waiting was told to come back, and will.
fn sorted(waiting: &mut Vec<Waiting>) -> Vec<Vec<Waiting>> {
    let mut messages: Vec<(usize, Vec<Waiting>)> = Vec::new();
    for one in waiting.drain(..).filter(|(_, verdict)| !verdict.is_closed()) {
        let (topic, bytes) = (one.0.delivery.topic, one.0.delivery.body.expose().len());
        // The newest of a topic is the one that has room.
        let fitting = messages.iter_mut().rev().find(|(_, message)| message[0].0.delivery.topic == topic);
        match fitting {
            Some((size, message)) if *size + bytes <= BODIES_MAX => {
                *size += bytes;
                message.push(one);
            }
            _ => messages.push((bytes, vec![one])),
        }
    }
    messages.into_iter().map(|(_, message)| message).collect()
}

/// Seals webhooks for the broker, unless no key can be had in time.
async fn pack(carrier: &Carrier, arrivals: &[Arrival]) -> Option<Outgoing> {
    match timeout(SEALING, carrier.pack(arrivals)).await {
        Ok(Ok(message)) => Some(message),
        Ok(Err(error)) => {
            tracing::warn!(error = %error, "webhooks could not be sealed for the broker");
            None
        }
        Err(_) => {
            tracing::warn!("webhooks could not be sealed for the broker: the database does not answer");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ENOUGH_ON_THE_WAY, ON_THE_WAY_MAX, WEBHOOKS_MAX, may_leave};

    #[test]
    fn a_webhook_leaves_alone_while_there_is_room_and_a_full_message_leaves_although_confirms_are_late() {
        assert!(may_leave(1, 0) && may_leave(1, ENOUGH_ON_THE_WAY - 1));
        assert!(!may_leave(1, ENOUGH_ON_THE_WAY) && !may_leave(WEBHOOKS_MAX - 1, ENOUGH_ON_THE_WAY));
        assert!(may_leave(WEBHOOKS_MAX, ENOUGH_ON_THE_WAY) && may_leave(WEBHOOKS_MAX, ON_THE_WAY_MAX - 1));
        assert!(!may_leave(WEBHOOKS_MAX, ON_THE_WAY_MAX) && !may_leave(0, 0));
    }
}
