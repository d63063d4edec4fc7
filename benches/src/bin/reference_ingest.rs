//! The least an honest ingest can do: check the HMAC, publish persistent and mandatory with a confirm on four shared
//! channels, answer 200. No sealing, metrics, audit or fallback. It says what axum, lapin and the broker allow here.
//!
//! `LISTEN`, `AMQP_URL`, `SECRET` and `QUEUE` come from the environment.
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use lapin::options::{
    BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, ExchangeKind};
use sha2::Sha256;

const CHANNELS: usize = 4;

struct Door {
    channels: Vec<Channel>,
    next: AtomicUsize,
    secret: Hmac<Sha256>,
    exchange: String,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let variable = |name: &str| std::env::var(name).with_context(|| format!("{name} is not set"));
    let (listen, queue) = (variable("LISTEN")?, variable("QUEUE")?);
    let connection = Connection::connect(&variable("AMQP_URL")?, ConnectionProperties::default()).await?;
    declare(&connection, &queue).await?;
    let mut channels = Vec::new();
    for _ in 0..CHANNELS {
        let channel = connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        channels.push(channel);
    }
    let secret = Hmac::<Sha256>::new_from_slice(variable("SECRET")?.as_bytes())?;
    let door = Arc::new(Door { channels, next: AtomicUsize::new(0), secret, exchange: queue });
    let router = Router::new()
        .route("/ready", get(async || StatusCode::OK))
        .route("/webhooks", post(accept))
        .route("/webhooks/{*topic}", post(accept))
        .with_state(door);
    axum::serve(tokio::net::TcpListener::bind(&listen).await?, router).await?;
    Ok(())
}

async fn declare(connection: &Connection, queue: &str) -> lapin::Result<()> {
    let channel = connection.create_channel().await?;
    let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    channel.exchange_declare(queue.into(), ExchangeKind::Topic, durable, FieldTable::default()).await?;
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    channel.queue_declare(queue.into(), QueueDeclareOptions::durable(), arguments).await?;
    channel.queue_bind(queue.into(), queue.into(), "#".into(), QueueBindOptions::default(), FieldTable::default()).await
}

async fn accept(State(door): State<Arc<Door>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let Ok(claimed) = STANDARD.decode(header("x-shopify-hmac-sha256")) else { return StatusCode::UNAUTHORIZED };
    let mut mac = door.secret.clone();
    mac.update(&body);
    if mac.verify_slice(&claimed).is_err() {
        return StatusCode::UNAUTHORIZED;
    }
    let mut carried = FieldTable::default();
    for name in ["x-shopify-hmac-sha256", "x-shopify-topic", "x-shopify-shop-domain", "x-shopify-webhook-id"] {
        carried.insert(name.into(), AMQPValue::LongString(header(name).into()));
    }
    let properties = BasicProperties::default()
        .with_delivery_mode(2)
        .with_content_type("application/json".into())
        .with_message_id(header("x-shopify-webhook-id").into())
        .with_headers(carried);
    let routing_key = header("x-shopify-topic").replace('/', ".");
    let channel = &door.channels[door.next.fetch_add(1, Ordering::Relaxed) % CHANNELS];
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let published =
        channel.basic_publish(door.exchange.as_str().into(), routing_key.into(), options, &body, properties).await;
    match published {
        Ok(confirm) => match confirm.await {
            Ok(Confirmation::Ack(None)) => StatusCode::OK,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        },
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}
