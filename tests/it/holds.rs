//! Legal holds: what they cover, that every step asks for them, and that a release lets go.

mod covers;
mod doors;
mod races;
mod release;
mod steps;

use efface::hold::{HoldError, Wish};
use efface::job::legal_hold::{self, Released};
use entity::gdpr_job::{JobStatus, Model};
use serde_json::{Value, json};

use crate::house::{House, Webhook};

impl House {
    /// Places a hold, given as the API takes it; a reason is added.
    pub async fn hold(&self, mut wish: Value) -> entity::legal_hold::Model {
        wish["reason"] = "litigation, case 4711".into();
        let wish: Wish = serde_json::from_value(wish).unwrap();
        self.app().holds().place("ops", &wish).await.unwrap()
    }

    pub async fn release_hold(&self, id: &str) -> Result<Released, HoldError> {
        let app = self.app();
        legal_hold::release(self.store(), &self.clock, app.wake(), app.holds(), "dpo", id).await
    }

    /// Asserts that a job waits for a release, and that no attempt was counted.
    async fn assert_held(&self, id: &str) -> Model {
        let job = self.job(id).await;
        assert_eq!((job.status, job.hold_reason.as_deref()), (JobStatus::Held, Some("legal_hold")));
        assert_eq!((job.attempts, job.lease_until, job.lease_owner.clone()), (0, None, None));
        assert!(job.result.is_none() && job.completed_at.is_none() && job.sealed_payload.is_some());
        job
    }

    async fn assert_completed(&self, id: &str) -> Model {
        let job = self.job(id).await;
        assert_eq!((job.status, job.hold_reason.as_deref()), (JobStatus::Completed, None), "{:?}", job.error_message);
        job
    }

    /// Entries of the audit log about one row: actor and metadata.
    async fn audited(&self, id: &str) -> Vec<(String, Value)> {
        use entity::audit_log::{Column, Entity};
        use sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _};
        let of_row = Entity::find().filter(Column::ResourceId.eq(id)).order_by_asc(Column::Id);
        let entries = of_row.all(self.store().db()).await.unwrap();
        entries.into_iter().map(|entry| (entry.actor_id, entry.metadata.unwrap_or_default())).collect()
    }
}

/// A `customers/redact` of one order, with a customer of the test's choosing.
fn redact(shop: &str, customer: &Value, order: u64) -> Webhook {
    let body = json!({ "shop_id": 1, "shop_domain": shop, "customer": customer, "orders_to_redact": [order] });
    Webhook::new("customers/redact", body.to_string())
}
