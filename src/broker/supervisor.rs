//! Keeps the publishing link alive: rebuilds connection, topology and lanes for ever.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use lapin::{Connection, Event};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};

use super::link::{self, LOOK_EVERY, LinkError};
use super::publisher::{Job, Lane, Lanes};
use super::tries::Tries;
use super::{Publishing, Room};

/// How long after a returned message the topology is declared again. RabbitMQ 3.10 leaves the consumers of a deleted
/// queue in limbo when one of the same name appears before it has told them.
const REDECLARE_AFTER: Duration = Duration::from_secs(1);

/// Keeps the publishing link, until shutdown and until the consumers, who park messages through it, have ended.
pub async fn keep_publishing(room: Arc<Room>) {
    let mut tries = Tries::new("publish");
    while !room.shutdown.is_cancelled() {
        let Err(error) = live_once(&room, &mut tries).await else { break };
        tries.down(&room, &error).await;
    }
    room.counters.connected("publish", false);
    room.set_publishing(Publishing::Closed);
}

/// One life of the link. `Ok` says that it ended because everybody is done.
async fn live_once(room: &Room, tries: &mut Tries) -> Result<(), LinkError> {
    let opening = link::within_limit(Session::open(room));
    let mut session = tokio::select! {
        session = opening => session?,
        () = room.shutdown.cancelled() => return Ok(()),
    };
    room.publisher.open(Lanes::new(std::mem::take(&mut session.addresses)));
    tries.up(room);
    room.set_publishing(Publishing::Ready);

    let ended = session.watch(room).await;
    room.publisher.close();
    if ended.is_err() {
        room.set_publishing(Publishing::Connecting);
    } else {
        // Every publish that is under way has its confirm, or its timeout, within this time.
        let drained = async { while session.lanes.join_next().await.is_some() {} };
        let _ = timeout(room.settings.publish_timeout, drained).await;
    }
    // What still waits is told at once that it is lost.
    session.lanes.shutdown().await;
    link::close(&session.connection).await;
    ended
}

struct Session {
    connection: Connection,
    addresses: Vec<mpsc::Sender<Job>>,
    lanes: JoinSet<()>,
    returns: mpsc::Receiver<()>,
}

impl Session {
    async fn open(room: &Room) -> Result<Self, LinkError> {
        let connection = link::connect(&room.settings.url, "efface publish").await?;
        room.topology.declare(&connection).await?;
        let (came_back, returns) = mpsc::channel(1);
        let (mut addresses, mut lanes) = (Vec::new(), JoinSet::new());
        for _ in 0..room.settings.publish_channels.max(1) {
            let (address, lane) = Lane::open(&connection, came_back.clone()).await?;
            addresses.push(address);
            lanes.spawn(lane.run());
        }
        Ok(Self { connection, addresses, lanes, returns })
    }

    /// Returns an error when the link has to be rebuilt, and nothing when everybody is done.
    async fn watch(&mut self, room: &Room) -> Result<(), LinkError> {
        let mut events = pin!(self.connection.events_listener());
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut declare_at = None::<Instant>;
        let mut done = pin!(room.everybody_done());
        loop {
            tokio::select! {
                event = events.next() => match event {
                    Some(Event::ConnectionBlocked(_)) => room.set_blocked(true),
                    Some(Event::ConnectionUnblocked) => room.set_blocked(false),
                    Some(Event::Error(error)) => return Err(error.into()),
                    Some(_) => {}
                    None => return Err(LinkError::Ended("the connection is gone")),
                },
                _ = look.tick() => {
                    if !self.connection.status().connected() {
                        return Err(LinkError::Ended("the connection was closed"));
                    }
                    room.set_blocked(self.connection.status().blocked());
                }
                _ = self.lanes.join_next() => return Err(LinkError::Ended("a channel was closed")),
                Some(()) = self.returns.recv(), if declare_at.is_none() => {
                    tracing::warn!("the broker returned a message: no queue is bound for it; the topology is declared again");
                    declare_at = Some(Instant::now() + REDECLARE_AFTER);
                }
                () = sleep_until(declare_at.unwrap_or_else(Instant::now)), if declare_at.is_some() => {
                    link::within_limit(async { Ok(room.topology.declare(&self.connection).await?) }).await?;
                    declare_at = None;
                }
                () = &mut done => return Ok(()),
            }
        }
    }
}
