//! Makes a webhook durable: broker first, database when the broker is silent.

/// What became of a delivery that is now durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The job that carries the duty; unknown while the broker still carries the webhook.
    pub job_id: Option<String>,
    /// The delivery was seen before and links to the first job.
    pub duplicate: bool,
}

/// Neither broker nor database took the delivery: the sender has to come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("neither the broker nor the database took the webhook")]
pub struct NotDurable;
