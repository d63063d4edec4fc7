//! Talks to the demo's server as the outside does: webhooks as the platform sends them, and the API.

use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Uri};
use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;
use uuid::Uuid;

use super::super::client::Client;
use super::super::webhook::{About, Delivery, signature};
use super::house::House;
use crate::clock::Clock;
use crate::config::Secret;

/// How long the server may take for anything.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(20);

/// Carries requests to one server.
#[derive(Debug)]
pub struct Post<'a> {
    house: &'a House,
    client: Client,
}

/// The same webhook every time it is sent.
#[derive(Debug)]
pub struct Letter<'a> {
    about: About<'a>,
    body: Bytes,
    webhook_id: String,
    event_id: String,
}

/// What a webhook was answered.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reply {
    pub status: u16,
    pub job_id: Option<String>,
    pub duplicate: Option<bool>,
}

impl<'a> Letter<'a> {
    /// # Errors
    /// Never: see [`About::to_json`].
    pub fn new(about: About<'a>) -> anyhow::Result<Self> {
        let body = Bytes::from(about.to_json()?);
        Ok(Self { about, body, webhook_id: Uuid::now_v7().to_string(), event_id: Uuid::now_v7().to_string() })
    }

    pub fn about(&self) -> &About<'a> {
        &self.about
    }
}

impl<'a> Post<'a> {
    pub fn new(house: &'a House) -> Self {
        Self { house, client: Client::new(PATIENCE) }
    }

    /// Sends a webhook signed with a secret.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn send(&self, letter: &Letter<'_>, secret: &Secret) -> anyhow::Result<Reply> {
        let delivery = Delivery {
            topic: letter.about.topic,
            shop: letter.about.shop,
            webhook_id: &letter.webhook_id,
            event_id: &letter.event_id,
            triggered_at: Clock::system().now(),
        };
        let signature = signature(secret, &letter.body)?;
        let request = delivery.request(&self.address("/webhooks")?, &signature, letter.body.clone())?;
        let answer = self.client.send(request).await.context("a webhook was not answered")?;
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        Ok(Reply {
            status: answer.status.as_u16(),
            job_id: body["jobId"].as_str().map(str::to_owned),
            duplicate: body["duplicate"].as_bool(),
        })
    }

    /// Asks a route, with the token, and returns status and JSON.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn get(&self, path: &str) -> anyhow::Result<(u16, Value)> {
        let (status, body) = self.fetch(path).await?;
        Ok((status, serde_json::from_slice(&body).unwrap_or_default()))
    }

    /// Asks a route, with the token, and returns status and body.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn fetch(&self, path: &str) -> anyhow::Result<(u16, Bytes)> {
        let request = Request::get(self.address(path)?)
            .header("authorization", format!("Bearer {}", self.house.token.expose()))
            .body(Full::<Bytes>::default())?;
        let answer = self.client.send(request).await.with_context(|| format!("GET {path} was not answered"))?;
        Ok((answer.status.as_u16(), answer.body))
    }

    /// Asks for a job until it waits or works no longer.
    ///
    /// # Errors
    /// When that takes too long.
    pub async fn job_at_rest(&self, id: &str) -> anyhow::Result<Value> {
        let until = Instant::now() + PATIENCE;
        loop {
            let (status, job) = self.get(&format!("/api/v1/jobs/{id}")).await?;
            let at = job["status"].as_str().unwrap_or_default();
            if status == 200 && !matches!(at, "queued" | "processing" | "retrying") {
                return Ok(job);
            }
            if Instant::now() > until {
                bail!("job {id} came to no end within {} s (HTTP {status}, status {at:?})", PATIENCE.as_secs());
            }
            tokio::time::sleep(LOOK_AGAIN_AFTER).await;
        }
    }

    fn address(&self, path: &str) -> anyhow::Result<Uri> {
        Ok(format!("http://{}{path}", self.house.address).parse()?)
    }
}
