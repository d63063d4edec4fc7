//! Pulls batches from the queue, and acknowledges what is durable or parked.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::future::join_all;
use futures_util::{FutureExt as _, StreamExt as _};
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::{FieldTable, ShortString};
use lapin::{Channel, Connection};

use super::link::{self, LinkError};
use super::message::{self, CONTENT_TYPE_SEALED, REASON_HEADER};
use super::tries::{Pauses, Tries};
use super::{BatchUnavailable, Consuming, Disposition, Incoming, Outgoing, PublishError, Room};

/// Keeps the consuming link, until shutdown: then the batch in hand is finished and acknowledged, and what was pulled
/// beyond it goes back to the queue.
pub async fn keep_consuming<F, Fut>(room: Arc<Room>, handler: F)
where
    F: Fn(Vec<Incoming>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Vec<Disposition>, BatchUnavailable>> + Send,
{
    let mut tries = Tries::new("consume");
    while !room.shutdown.is_cancelled() {
        room.set_consuming(Consuming::Connecting);
        let Err(error) = live_once(&room, &handler, &mut tries).await else { break };
        tries.down(&room, &error).await;
    }
    room.counters.connected("consume", false);
    room.set_consuming(Consuming::Closed);
}

/// One life of the link. `Ok` says that it ended because of the shutdown.
async fn live_once<F, Fut>(room: &Room, handler: &F, tries: &mut Tries) -> Result<(), LinkError>
where
    F: Fn(Vec<Incoming>) -> Fut + Send + Sync,
    Fut: Future<Output = Result<Vec<Disposition>, BatchUnavailable>> + Send,
{
    let opening = link::within_limit(Session::open(room));
    let mut session = tokio::select! {
        session = opening => session?,
        () = room.shutdown.cancelled() => return Ok(()),
    };
    tries.up(room);
    room.set_consuming(Consuming::Running);
    let ended = session.pull(room, handler).await;
    if ended.is_err() {
        room.set_consuming(Consuming::Connecting);
    }
    session.close().await;
    ended
}

struct Session {
    connection: Connection,
    channel: Channel,
    consumer: lapin::Consumer,
}

/// How to go on with a batch, or after it.
enum Next {
    GoOn,
    /// Shutdown came first: the messages go back to the queue.
    GiveBack,
}

impl Session {
    async fn open(room: &Room) -> Result<Self, LinkError> {
        let connection = link::connect(&room.settings.url, "efface consume").await?;
        room.topology.declare(&connection).await?;
        let channel = connection.create_channel().await?;
        channel.basic_qos(room.settings.prefetch.max(1), BasicQosOptions::default()).await?;
        let queue = room.topology.topology().queue.clone();
        let consumer = channel
            .basic_consume(queue, ShortString::default(), BasicConsumeOptions::default(), FieldTable::default())
            .await?;
        Ok(Self { connection, channel, consumer })
    }

    /// Takes whatever is there, up to the limit of a batch, hands it over and settles it; for ever.
    async fn pull<F, Fut>(&mut self, room: &Room, handler: &F) -> Result<(), LinkError>
    where
        F: Fn(Vec<Incoming>) -> Fut + Send + Sync,
        Fut: Future<Output = Result<Vec<Disposition>, BatchUnavailable>> + Send,
    {
        loop {
            let first = tokio::select! {
                biased;
                () = room.shutdown.cancelled() => return Ok(()),
                first = self.consumer.next() => first,
                gone = link::lost(&self.connection) => return Err(gone),
            };
            let mut batch = vec![delivered(first)?];
            while batch.len() < room.settings.batch_max.max(1) {
                let Some(next) = self.consumer.next().now_or_never() else { break };
                batch.push(delivered(next)?);
            }
            if let Next::GiveBack = settle(room, &batch, handler).await? {
                return Ok(());
            }
            self.acknowledge(&batch).await?;
            room.counters.consumed(batch.len());
        }
    }

    /// Acknowledges a whole batch by its last message: everything earlier on this channel is settled already.
    async fn acknowledge(&self, batch: &[Delivery]) -> Result<(), LinkError> {
        let Some(last) = batch.last() else { return Ok(()) };
        // lapin can forget an acknowledgement that was on its way when the connection broke, and never answer.
        tokio::select! {
            sent = last.acker.ack(BasicAckOptions { multiple: true }) => {
                if sent? { Ok(()) } else { Err(LinkError::Ended("an acknowledgement could not be sent")) }
            }
            gone = link::lost(&self.connection) => Err(gone),
        }
    }

    async fn close(&self) {
        if self.channel.status().connected() {
            let cancelling = self.channel.basic_cancel(self.consumer.tag(), BasicCancelOptions::default());
            let _ = link::within_limit(async { Ok(cancelling.await?) }).await;
        }
        link::close(&self.connection).await;
    }
}

fn delivered(next: Option<lapin::Result<Delivery>>) -> Result<Delivery, LinkError> {
    next.ok_or(LinkError::Ended("the broker cancelled the consumer"))?.map_err(LinkError::from)
}

/// Sees a batch through until it may be acknowledged: handled, and parked where need be.
async fn settle<F, Fut>(room: &Room, batch: &[Delivery], handler: &F) -> Result<Next, LinkError>
where
    F: Fn(Vec<Incoming>) -> Fut + Send + Sync,
    Fut: Future<Output = Result<Vec<Disposition>, BatchUnavailable>> + Send,
{
    let mut hold = Hold { room, batch, pauses: Pauses::default() };
    let dispositions = loop {
        if let Some(dispositions) = hand_over(batch, handler).await {
            break dispositions;
        }
        tracing::warn!(broker.batch = batch.len(), "a batch cannot be made durable now; it is kept and tried again");
        if let Next::GiveBack = hold.pause().await? {
            return Ok(Next::GiveBack);
        }
    };

    let mut parked = batch.iter().zip(dispositions).filter_map(Parked::read).collect::<Vec<_>>();
    while !parked.is_empty() {
        parked = publish_all(room, parked).await;
        if let Some(first) = parked.first() {
            let (left, error) = (parked.len(), first.failed.as_ref().map(PublishError::code));
            tracing::warn!(broker.left = left, error, "messages cannot be parked now; they are kept and tried again");
            if let Next::GiveBack = hold.pause().await? {
                return Ok(Next::GiveBack);
            }
        }
    }
    room.set_consuming(Consuming::Running);
    Ok(Next::GoOn)
}

/// Nothing when the batch has to be handed over again.
async fn hand_over<F, Fut>(batch: &[Delivery], handler: &F) -> Option<Vec<Disposition>>
where
    F: Fn(Vec<Incoming>) -> Fut + Send + Sync,
    Fut: Future<Output = Result<Vec<Disposition>, BatchUnavailable>> + Send,
{
    let messages = batch.iter().map(message::read).collect();
    match AssertUnwindSafe(async { handler(messages).await }).catch_unwind().await {
        Ok(Ok(dispositions)) if dispositions.len() == batch.len() => Some(dispositions),
        Ok(Ok(dispositions)) => {
            tracing::error!(
                broker.batch = batch.len(),
                broker.dispositions = dispositions.len(),
                "a batch was answered with a wrong number of dispositions; nothing of it is acknowledged"
            );
            None
        }
        Ok(Err(BatchUnavailable)) => None,
        Err(_panic) => {
            tracing::error!(broker.batch = batch.len(), "the handler of a batch panicked; nothing is acknowledged");
            None
        }
    }
}

/// A message for the dead-letter queue.
struct Parked {
    reason: &'static str,
    message: Outgoing,
    failed: Option<PublishError>,
}

impl Parked {
    fn read((delivery, disposition): (&Delivery, Disposition)) -> Option<Self> {
        let Disposition::Park { reason, sealed, mut headers } = disposition else { return None };
        headers.push((REASON_HEADER.into(), reason.into()));
        let message_id = delivery.properties.message_id().as_ref().map(ToString::to_string);
        let message = Outgoing {
            routing_key: delivery.routing_key.to_string(),
            message_id: message_id.unwrap_or_else(|| format!("{:032x}", rand::random::<u128>())),
            content_type: CONTENT_TYPE_SEALED,
            headers,
            body: sealed,
        };
        Some(Self { reason, message, failed: None })
    }
}

/// Parks messages side by side; returns those without a confirm.
async fn publish_all(room: &Room, parked: Vec<Parked>) -> Vec<Parked> {
    let exchange = &room.topology.topology().dead_letter_exchange;
    let publishing = parked.into_iter().map(async |mut one| match room.publish(exchange, one.message.clone()).await {
        Ok(()) => {
            room.counters.parked(one.reason);
            None
        }
        Err(error) => {
            one.failed = Some(error);
            Some(one)
        }
    });
    join_all(publishing).await.into_iter().flatten().collect()
}

/// A batch that waits in our hands. Giving it back instead would count as a delivery each time, and newer brokers drop
/// a message after a number of those.
struct Hold<'a> {
    room: &'a Room,
    batch: &'a [Delivery],
    pauses: Pauses,
}

impl Hold<'_> {
    /// Waits before the next try, unless the shutdown comes, or the broker took the batch back.
    async fn pause(&mut self) -> Result<Next, LinkError> {
        self.room.set_consuming(Consuming::Paused);
        tokio::select! {
            () = self.pauses.wait() => {}
            () = self.room.shutdown.cancelled() => return Ok(Next::GiveBack),
        }
        if self.batch.iter().all(|delivery| delivery.acker.usable()) {
            Ok(Next::GoOn)
        } else {
            Err(LinkError::Ended("the channel was closed while a batch waited"))
        }
    }
}
