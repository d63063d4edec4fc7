//! Takes `app/uninstalled` in: the shop is marked in the app's own table, a `"WebhookLog"` row and an audit entry are
//! written, and no job is made. Nothing is erased, and nothing of the body is kept but its digest.
//!
//! This has a transaction of its own, so that a row of the app's table that somebody else has locked delays no duty of the same
//! batch. The time of the event is the one that the sender claims, when that lies before the receipt: news that comes
//! late must not undo an installation that came after it.

use std::collections::HashMap;

use entity::audit_log::Action;
use entity::webhook_log::WebhookStatus;
use serde_json::json;

use super::{Accepted, Arrival, Intake, IntakeError, Prepared, RACES_MAX, conflict_key, count};
use crate::audit::{self, Actor, Entry};
use crate::clock::rfc3339;
use crate::erasure::execute::uninstall::{self, Mark};
use crate::store::webhook_log::{self, DeliveryKey, NewWebhook};
use crate::store::{StoreError, id};

/// The table's name, as the audit log writes it.
const TABLE: &str = "WebhookLog";

/// What is to be recorded of one webhook.
struct News<'a> {
    prepared: &'a Prepared,
    key: DeliveryKey,
    /// Why the shop is not marked.
    rejected: Option<&'static str>,
}

impl Intake {
    pub(super) async fn accept_news(&self, arrivals: Vec<Arrival>) -> Result<Vec<Accepted>, IntakeError> {
        let prepared: Vec<Prepared> = arrivals.into_iter().map(|arrival| self.prepare(arrival)).collect();
        for _ in 0..RACES_MAX {
            match self.try_accept_news(&prepared).await {
                Ok(Some(accepted)) => {
                    count(&prepared, &accepted);
                    return Ok(accepted);
                }
                Ok(None) | Err(IntakeError::Store(StoreError::Conflict(_))) => {}
                Err(error) => return Err(error),
            }
        }
        Err(IntakeError::Contended)
    }

    async fn try_accept_news(&self, batch: &[Prepared]) -> Result<Option<Vec<Accepted>>, IntakeError> {
        let tx = self.store.begin_write().await?;
        let keys: Vec<DeliveryKey> = batch.iter().flat_map(|p| [p.key.clone(), conflict_key(p)]).collect();
        let recorded = webhook_log::recorded(&*tx, &keys.iter().collect::<Vec<_>>()).await?;
        let mut digests: HashMap<DeliveryKey, String> =
            recorded.into_iter().map(|(key, known)| (key, known.body_digest)).collect();
        let (mut news, mut again, mut accepted) = (Vec::new(), Vec::new(), Vec::new());
        for prepared in batch {
            let mut key = prepared.key.clone();
            let mut rejected = prepared.arrival.delivery.mismatch.map(|_| super::PAYLOAD_MISMATCH);
            if digests.get(&key).is_some_and(|digest| *digest != prepared.body_digest) {
                key = conflict_key(prepared);
                rejected = Some(super::WEBHOOK_ID_CONFLICT);
            }
            let duplicate = digests.insert(key.clone(), prepared.body_digest.clone()).is_some();
            accepted.push(Accepted { job_id: None, duplicate });
            if duplicate { again.push(key) } else { news.push(News { prepared, key, rejected }) }
        }
        news.sort_unstable_by(|a, b| {
            (&a.key.shop_domain, &a.key.webhook_id).cmp(&(&b.key.shop_domain, &b.key.webhook_id))
        });
        let rows: Vec<NewWebhook> = news.iter().map(News::row).collect();
        if webhook_log::insert(&*tx, &rows).await? != rows.len() as u64 {
            tx.rollback().await?;
            return Ok(None);
        }
        webhook_log::count_deliveries(&*tx, &again.iter().collect::<Vec<_>>()).await?;
        let departures: Vec<_> = news.iter().filter(|news| news.rejected.is_none()).map(News::departure).collect();
        let mut marks = match &self.shop {
            Some(shop) => uninstall::mark(&tx, shop, &departures).await?,
            None => vec![Mark::NoShop; departures.len()],
        }
        .into_iter();
        let entries = news
            .iter()
            .zip(&rows)
            .map(|(news, row)| {
                news.entry(row, &self.told(&row.key), if news.rejected.is_none() { marks.next() } else { None })
            })
            .collect();
        audit::append(&*tx, self.clock.now(), entries).await?;
        tx.commit().await?;
        for reason in news.iter().filter_map(|news| news.rejected) {
            tracing::warn!(reason, "an uninstallation was recorded and not believed: the shop is not marked");
        }
        Ok(Some(accepted))
    }
}

impl News<'_> {
    fn row(&self) -> NewWebhook {
        let Prepared { arrival, body_digest, .. } = self.prepared;
        let delivery = &arrival.delivery;
        NewWebhook {
            id: id::row(),
            key: self.key.clone(),
            event_id: delivery.event_id.clone(),
            provider: delivery.provider.to_owned(),
            source: arrival.source,
            api_version: delivery.api_version.clone(),
            body_digest: body_digest.clone(),
            job_key: None,
            status: if self.rejected.is_some() { WebhookStatus::Rejected } else { WebhookStatus::Accepted },
            reason: self.rejected.map(str::to_owned),
            job_id: None,
            triggered_at: delivery.triggered_at,
            received_at: arrival.received_at,
        }
    }

    fn departure(&self) -> (String, chrono::DateTime<chrono::Utc>) {
        let arrival = &self.prepared.arrival;
        let at = arrival.delivery.triggered_at.map_or(arrival.received_at, |at| at.min(arrival.received_at));
        (self.key.shop_domain.clone(), at)
    }

    fn entry(&self, row: &NewWebhook, webhook_id: &str, mark: Option<Mark>) -> Entry {
        Entry {
            actor: Actor::Webhook(row.provider.clone()),
            action: Action::Create,
            resource_type: TABLE,
            resource_id: row.id.clone(),
            shop_domain: Some(row.key.shop_domain.clone()),
            metadata: json!({
                "topic": row.key.topic,
                "webhookId": webhook_id,
                "receivedAt": rfc3339(row.received_at),
                "shop": mark.map(Mark::as_str),
                "rejected": self.rejected,
            }),
        }
    }
}
