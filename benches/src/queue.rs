//! Counts and removes the queues that an ingest bench fills.
use lapin::options::{QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties};

/// The messages in a queue.
pub async fn count(amqp_url: &str, queue: &str) -> anyhow::Result<u32> {
    let connection = Connection::connect(amqp_url, ConnectionProperties::default()).await?;
    let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    let channel = connection.create_channel().await?;
    let count = channel.queue_declare(queue.into(), passive, FieldTable::default()).await?.message_count();
    connection.close(200, "done".into()).await?;
    Ok(count)
}

/// Deletes a queue with what is in it, so that the next contestant meets an idle broker.
pub async fn delete(amqp_url: &str, queue: &str) -> anyhow::Result<()> {
    let connection = Connection::connect(amqp_url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    channel.queue_delete(queue.into(), QueueDeleteOptions::default()).await?;
    connection.close(200, "done".into()).await?;
    Ok(())
}
