//! One row per webhook that was received, so that a second delivery finds the first one's job. Kept 7 days.

use sea_orm::entity::prelude::*;

use crate::source::Source;
use crate::text_enum::text_enum;

text_enum! {
    /// What became of a webhook.
    pub enum WebhookStatus {
        /// It made a job.
        Accepted = "accepted",
        /// Another webhook with the same event and body had made the job already.
        Duplicate = "duplicate",
        /// It was refused: the signature or the body is wrong.
        Rejected = "rejected",
        /// Nobody could read it; it is kept sealed with a reason.
        Parked = "parked",
    }
}

/// A received webhook.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "WebhookLog", rename_all = "camelCase")]
pub struct Model {
    /// A UUID v7. Set by intake; never changes.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub id: String,
    /// The shop's domain in lower case. Set by intake; never changes. Unique with `webhookId` and `topic`.
    #[sea_orm(column_type = "Text", unique_key = "delivery")]
    pub shop_domain: String,
    /// The sender's id of the delivery, or the body's digest when it had none. Set by intake; never changes.
    #[sea_orm(column_type = "Text", unique_key = "delivery")]
    pub webhook_id: String,
    /// The topic as its provider writes it. Set by intake; never changes.
    #[sea_orm(column_type = "Text", unique_key = "delivery")]
    pub topic: String,
    /// The sender's id of the event, when it gave one. Set by intake; never changes.
    #[sea_orm(column_type = "Text", nullable)]
    pub event_id: Option<String>,
    /// Whose dialect of webhooks it was. Set by intake; never changes.
    #[sea_orm(column_type = "Text")]
    pub provider: String,
    /// The door it came through. Set by intake; never changes.
    pub source: Source,
    /// The API version that the sender named. Set by intake; never changes.
    #[sea_orm(column_type = "Text", nullable)]
    pub api_version: Option<String>,
    /// Keyed digest of the body: the same id with another digest is a conflict. Set by intake; never changes.
    #[sea_orm(column_type = "Text")]
    pub body_digest: String,
    /// What makes two webhooks the same duty: shop, topic, event and body. Set by intake, only when `accepted`;
    /// never changes. Unique where set, so that one event makes one job even when two webhooks race.
    #[sea_orm(column_type = "Text", nullable)]
    pub job_key: Option<String>,
    /// What became of it. Set by intake; never changes.
    pub status: WebhookStatus,
    /// Why it was rejected, parked or held. Set by intake; never changes.
    #[sea_orm(column_type = "Text", nullable)]
    pub reason: Option<String>,
    /// The job that answers it. Set by intake; never changes.
    #[sea_orm(column_type = "Text", nullable)]
    pub job_id: Option<String>,
    /// How often this webhook was delivered. 1 at first, raised by intake with each further delivery.
    pub deliveries: i32,
    /// When the sender says that it happened (unsigned). Set by intake; never changes.
    pub triggered_at: Option<DateTimeUtc>,
    /// When the first delivery reached us. Set by the door; never changes.
    pub received_at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}
