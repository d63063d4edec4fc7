//! Makes a webhook durable: broker first, database when the broker is silent.
//!
//! An answer of "accepted" means that the webhook is on disk somewhere: in the broker's queue, confirmed, or committed in
//! the database. When neither takes it, the sender is told to come back.

mod breaker;
pub mod carrier;
mod desk;
mod post;
pub mod receiver;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::broker::Broker;
use crate::clock::Clock;
use crate::intake::{Arrival, Intake};
use crate::seal::ContentKeys;
use crate::webhook::Delivery;
use breaker::Breaker;
use carrier::Carrier;
use desk::Desk;
use entity::source::Source;
use post::Post;

/// What became of a delivery that is now durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The job that carries the duty; unknown while the broker still carries the webhook, and none when the
    /// topic asks for no job.
    pub job_id: Option<String>,
    /// The delivery was seen before and links to the first job.
    pub duplicate: bool,
}

/// Neither broker nor database took the delivery: the sender has to come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("neither the broker nor the database took the webhook")]
pub struct NotDurable;

/// The desk behind the HTTP door. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Acceptance {
    broker: Option<(Post, Arc<Breaker>)>,
    desk: Desk,
    clock: Clock,
}

impl Acceptance {
    /// With a broker, webhooks go there first; after a failure they go to the database for `breaker_open`.
    pub fn new(
        broker: Option<Broker>,
        keys: ContentKeys,
        intake: Intake,
        clock: Clock,
        breaker_open: Duration,
    ) -> Self {
        let broker = broker.map(|broker| {
            let breaker = Arc::new(Breaker::new(breaker_open, Instant::now()));
            (Post::open(broker, Carrier::new(keys), Arc::clone(&breaker)), breaker)
        });
        Self { broker, desk: Desk::open(intake), clock }
    }

    /// Makes a delivery durable.
    ///
    /// # Errors
    /// [`NotDurable`] when it is not certain that anybody holds it.
    pub async fn accept(&self, delivery: Delivery) -> Result<Accepted, NotDurable> {
        let mut arrival = Arrival { delivery, source: Source::Http, received_at: self.clock.now() };
        if let Some((post, breaker)) = &self.broker
            && breaker.lets_through(Instant::now())
        {
            match post.send(arrival).await {
                Ok(()) => return Ok(Accepted { job_id: None, duplicate: false }),
                Err(back) => arrival = back.ok_or(NotDurable)?,
            }
        }
        self.desk.take(arrival).await
    }
}
