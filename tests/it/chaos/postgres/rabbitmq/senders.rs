//! Senders that behave like Shopify: whatever is not accepted is sent again, for a while.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{Channel, Confirmation, Connection, ConnectionProperties};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::outside::http::Client;
use crate::outside::webhook::Webhook;

const HTTP_SENDERS: usize = 24;
const AMQP_SENDERS: usize = 8;

/// Tries of one copy, and the pause between two: together longer than any outage of a campaign.
const TRIES_MAX: u32 = 1_200;
const PAUSE: Duration = Duration::from_millis(100);

/// How long a publisher waits for a connection, or for a confirm.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the senders saw.
#[derive(Default)]
pub struct Tally {
    pub over_http: AtomicUsize,
    pub over_amqp: AtomicUsize,
    pub answered_duplicate: AtomicUsize,
    pub refused_503: AtomicUsize,
    /// No answer, or no confirm.
    pub unanswered: AtomicUsize,
    pub forged: AtomicUsize,
    /// The jobs that senders were told of, by event.
    pub told: Mutex<HashMap<String, HashSet<String>>>,
}

/// What is to be sent, in this order.
pub struct Post {
    pub over_http: Vec<Webhook>,
    pub over_amqp: Vec<Webhook>,
}

/// All senders at work.
pub struct Senders {
    at_work: JoinSet<()>,
    pub tally: Arc<Tally>,
    /// Copies accepted so far.
    pub accepted: watch::Receiver<usize>,
}

impl Senders {
    pub fn start(post: Post, address: SocketAddr, amqp_url: &str) -> Self {
        let (tally, progress) = (Arc::new(Tally::default()), Arc::new(watch::Sender::new(0)));
        let accepted = progress.subscribe();
        let mut at_work = JoinSet::new();
        let over_http = Arc::new(Pile { webhooks: post.over_http, next: AtomicUsize::new(0) });
        for _ in 0..HTTP_SENDERS {
            at_work.spawn(send_over_http(over_http.clone(), Client::new(address), tally.clone(), progress.clone()));
        }
        let over_amqp = Arc::new(Pile { webhooks: post.over_amqp, next: AtomicUsize::new(0) });
        for _ in 0..AMQP_SENDERS {
            let publisher = Publisher { url: amqp_url.to_owned(), link: None };
            at_work.spawn(send_over_amqp(over_amqp.clone(), publisher, tally.clone(), progress.clone()));
        }
        Self { at_work, tally, accepted }
    }

    /// Waits until everything is accepted.
    pub async fn finish(&mut self) {
        while let Some(ended) = self.at_work.join_next().await {
            ended.unwrap();
        }
    }
}

struct Pile {
    webhooks: Vec<Webhook>,
    next: AtomicUsize,
}

impl Pile {
    fn take(&self) -> Option<&Webhook> {
        self.webhooks.get(self.next.fetch_add(1, Ordering::Relaxed))
    }
}

async fn send_over_http(pile: Arc<Pile>, mut client: Client, tally: Arc<Tally>, accepted: Arc<watch::Sender<usize>>) {
    while let Some(webhook) = pile.take() {
        let genuine = webhook.secret == crate::outside::webhook::SECRET;
        let mut tries = 0;
        loop {
            match client.send(webhook).await {
                Ok(answer) if genuine && answer.code == 200 => {
                    note(&tally, webhook, &answer.json());
                    accepted.send_modify(|accepted| *accepted += 1);
                    break;
                }
                Ok(answer) if !genuine && answer.code == 401 => {
                    tally.forged.fetch_add(1, Ordering::Relaxed);
                    break;
                }
                Ok(answer) => {
                    assert_eq!(answer.code, 503, "{}", String::from_utf8_lossy(&answer.body));
                    assert!(answer.header("retry-after").is_some(), "a 503 without Retry-After");
                    tally.refused_503.fetch_add(1, Ordering::Relaxed);
                }
                Err(_) => {
                    tally.unanswered.fetch_add(1, Ordering::Relaxed);
                }
            }
            tries += 1;
            assert!(tries < TRIES_MAX, "{} was not accepted in {tries} tries", webhook.webhook_id);
            tokio::time::sleep(PAUSE).await;
        }
    }
}

fn note(tally: &Tally, webhook: &Webhook, answer: &serde_json::Value) {
    tally.over_http.fetch_add(1, Ordering::Relaxed);
    if answer["duplicate"] == true {
        tally.answered_duplicate.fetch_add(1, Ordering::Relaxed);
    }
    if let Some(job) = answer["jobId"].as_str() {
        let mut told = tally.told.lock().unwrap();
        told.entry(webhook.event_id.clone()).or_default().insert(job.to_owned());
    }
}

async fn send_over_amqp(
    pile: Arc<Pile>,
    mut publisher: Publisher,
    tally: Arc<Tally>,
    accepted: Arc<watch::Sender<usize>>,
) {
    while let Some(webhook) = pile.take() {
        let mut tries = 0;
        while !publisher.publish(webhook).await {
            tally.unanswered.fetch_add(1, Ordering::Relaxed);
            tries += 1;
            assert!(tries < TRIES_MAX, "{} was not confirmed in {tries} tries", webhook.webhook_id);
            tokio::time::sleep(PAUSE).await;
        }
        tally.over_amqp.fetch_add(1, Ordering::Relaxed);
        accepted.send_modify(|accepted| *accepted += 1);
    }
}

/// Somebody else's publisher: raw webhooks, with confirms, one at a time.
struct Publisher {
    url: String,
    link: Option<(Connection, Channel)>,
}

impl Publisher {
    /// True when the broker has confirmed; anything else makes a new connection next time.
    async fn publish(&mut self, webhook: &Webhook) -> bool {
        let confirmed = timeout(PATIENCE, self.try_publish(webhook)).await;
        let confirmed = matches!(confirmed, Ok(Ok(Confirmation::Ack(None))));
        if !confirmed {
            self.link = None;
        }
        confirmed
    }

    async fn try_publish(&mut self, webhook: &Webhook) -> lapin::Result<Confirmation> {
        if self.link.is_none() {
            let connection = Connection::connect(&self.url, ConnectionProperties::default()).await?;
            let channel = connection.create_channel().await?;
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
            self.link = Some((connection, channel));
        }
        let (_, channel) = self.link.as_ref().unwrap();
        let options = BasicPublishOptions { mandatory: true, immediate: false };
        let routing_key = webhook.routing_key().as_str().into();
        channel
            .basic_publish("efface.webhooks".into(), routing_key, options, &webhook.body, webhook.properties())
            .await?
            .await
    }
}
