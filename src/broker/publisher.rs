//! Publishes with confirms: every caller awaits its own, and none waits for another's.
//!
//! A few *lanes*, each a channel with a task of its own, share the publishes round-robin. A caller hands its message to a
//! lane and waits for the verdict. The lane is the only one to publish on its channel: lapin numbers a publish and
//! queues its frames in two steps, so that two tasks on one channel can end up with each other's confirms.

mod lane;
mod verdict;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::message::Parcel;

pub(super) use lane::Lane;

/// Why a publish did not end in a confirm. The message may have reached the queue all the same, except where the text
/// says otherwise: whoever publishes again must be idempotent behind the queue.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    #[error("there is no connection to the broker; nothing was sent")]
    NotConnected,
    #[error("the broker blocks publishing because it is short of memory or disk; nothing was sent")]
    Blocked,
    #[error("the broker did not confirm within {} ms", .0.as_millis())]
    TimedOut(Duration),
    #[error("the connection was lost before the confirm")]
    Lost,
    #[error("the broker returned the message: no queue is bound for it")]
    Unroutable,
    #[error("the broker returned a message beside this one, and which is not certain")]
    Unclear,
    #[error("the broker refused the message")]
    Refused,
    #[error("the channel gives no confirms")]
    NotConfirmed,
    #[error("{0} cannot be carried because of its length; nothing was sent")]
    TooLong(&'static str),
}

impl PublishError {
    /// The word for the metrics' `reason` label.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotConnected => "not_connected",
            Self::Blocked => "blocked",
            Self::TimedOut(_) => "timed_out",
            Self::Lost => "lost",
            Self::Unroutable => "unroutable",
            Self::Unclear => "unclear",
            Self::Refused => "refused",
            Self::NotConfirmed => "not_confirmed",
            Self::TooLong(_) => "too_long",
        }
    }
}

/// The address for the verdict on a publish.
type Caller = oneshot::Sender<Result<(), PublishError>>;

/// A message on its way to a lane.
pub(super) struct Job {
    parcel: Parcel,
    caller: Caller,
}

/// The lanes of one connection.
#[derive(Debug)]
pub(super) struct Lanes {
    lanes: Box<[mpsc::Sender<Job>]>,
    next: AtomicUsize,
}

impl Lanes {
    pub fn new(lanes: Vec<mpsc::Sender<Job>>) -> Self {
        Self { lanes: lanes.into_boxed_slice(), next: AtomicUsize::new(0) }
    }

    fn choose(&self) -> Option<mpsc::Sender<Job>> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        self.lanes.get(turn.checked_rem(self.lanes.len())?).cloned()
    }
}

/// Whether the counter is open. The supervisor sets it; publishers read it.
#[derive(Debug, Default)]
enum Counter {
    #[default]
    Closed,
    Blocked(Arc<Lanes>),
    Open(Arc<Lanes>),
}

/// Takes messages from any number of tasks.
#[derive(Debug)]
pub(super) struct Publisher {
    counter: RwLock<Counter>,
    timeout: Duration,
}

impl Publisher {
    pub fn new(timeout: Duration) -> Self {
        Self { counter: RwLock::default(), timeout }
    }

    pub fn open(&self, lanes: Lanes) {
        self.set(Counter::Open(Arc::new(lanes)));
    }

    /// Drops the lanes' addresses: they end when they have nothing left to await.
    pub fn close(&self) {
        self.set(Counter::Closed);
    }

    /// Refuses new messages, or takes them again; what waits for a confirm goes on waiting.
    pub fn block(&self, blocked: bool) {
        let mut counter = self.counter.write().unwrap_or_else(PoisonError::into_inner);
        *counter = match std::mem::take(&mut *counter) {
            Counter::Blocked(lanes) | Counter::Open(lanes) if blocked => Counter::Blocked(lanes),
            Counter::Blocked(lanes) | Counter::Open(lanes) => Counter::Open(lanes),
            Counter::Closed => Counter::Closed,
        };
    }

    /// Returns when the broker has confirmed that the message is in a queue.
    pub async fn publish(&self, parcel: Parcel) -> Result<(), PublishError> {
        let lane = self.lane()?;
        let confirmed = async {
            let (caller, verdict) = oneshot::channel();
            lane.send(Job { parcel, caller }).await.map_err(|_| PublishError::NotConnected)?;
            drop(lane);
            verdict.await.unwrap_or(Err(PublishError::Lost))
        };
        tokio::time::timeout(self.timeout, confirmed).await.unwrap_or(Err(PublishError::TimedOut(self.timeout)))
    }

    fn lane(&self) -> Result<mpsc::Sender<Job>, PublishError> {
        match &*self.counter.read().unwrap_or_else(PoisonError::into_inner) {
            Counter::Open(lanes) => lanes.choose().ok_or(PublishError::NotConnected),
            Counter::Blocked(_) => Err(PublishError::Blocked),
            Counter::Closed => Err(PublishError::NotConnected),
        }
    }

    fn set(&self, counter: Counter) {
        *self.counter.write().unwrap_or_else(PoisonError::into_inner) = counter;
    }
}
