//! Every job that ends has one signed receipt, written together with its end, and nothing else has one.

mod mutations;
mod privacy;
mod program;
mod pypi;
mod schema;
mod written;

use chrono::{DateTime, Utc};
use efface::evidence::dsse::Envelope;
use efface::evidence::public_key::PublicKey;
use efface::evidence::receipt::Duty;
use efface::evidence::statement::Statement;
use efface::evidence::verify::verify;
use efface::webhook::Topic;
use entity::deletion_receipt::{Entity, Model};
use entity::gdpr_job::JobType;
use entity::source::Source;
use sea_orm::EntityTrait as _;
use serde_json::Value;

use crate::house::{ADA, BEA, House, Webhook};

/// A shop's erasure that is being withdrawn, for receipts that no house signs.
fn duty(source: Source, shop_domain: &str, at: DateTime<Utc>) -> Duty<'_> {
    static PAYLOAD: Value = Value::Null;
    Duty {
        job_id: "gdpr_0123456789abcdef0123456789abcdef",
        job_type: JobType::ShopRedact,
        topic: Topic::ShopRedact.as_str(),
        provider: "shopify",
        source,
        shop_domain,
        shop_id: None,
        webhook_id: "w",
        event_id: None,
        payload: &PAYLOAD,
        attempts: 0,
        received_at: at,
        due_at: at,
    }
}

impl House {
    pub async fn receipts(&self) -> Vec<Model> {
        Entity::find().all(self.store().db()).await.unwrap()
    }

    /// What the only receipt of a job says; it must verify under the house's key.
    pub async fn receipt(&self, job_id: &str) -> Statement {
        let mut of_job: Vec<Model> =
            self.receipts().await.into_iter().filter(|receipt| receipt.job_id == job_id).collect();
        assert_eq!(of_job.len(), 1, "receipts of {job_id}");
        self.opened(&of_job.remove(0))
    }

    /// What a receipt says; it must verify under the house's key.
    pub fn opened(&self, receipt: &Model) -> Statement {
        let checked = verify(&receipt.envelope, &[self.key()]).unwrap();
        assert!(checked.is_trusted);
        checked.statement
    }

    pub fn key(&self) -> PublicKey {
        self.app().signer().public_key().clone()
    }

    /// One envelope for each way in which a job may end.
    pub async fn one_receipt_of_each_ending(&self) -> Vec<Vec<u8>> {
        self.settle_town().await;
        self.uninstall(BEA, false).await;
        let withdrawn = self.post(&Webhook::new("shop/redact", mismatched())).await;
        self.command(&withdrawn, self.cancel("sent by mistake")).await.unwrap();
        for webhook in [
            Webhook::customers_redact(ADA, &[1001_u64, 1003, 9_007_199_254_740_993]),
            Webhook::customers_redact("nobody.myshopify.com", &[1_u64]).event("507f1f77bcf86cd799439011"),
            Webhook::customers_redact(ADA, &[] as &[u64]).id("an id of somebody's own making"),
            Webhook::data_request(ADA, &[1002_u64, 1004]),
            Webhook::data_request("nobody.myshopify.com", &[1_u64]).without_id(),
            Webhook::shop_redact(BEA),
        ] {
            self.done(&webhook).await;
        }
        self.receipts().await.into_iter().map(|receipt| receipt.envelope).collect()
    }
}

/// A `customers/redact` that claims to be a `shop/redact`: its job is held.
pub fn mismatched() -> String {
    serde_json::json!({
        "shop_id": 1, "shop_domain": ADA, "customer": { "id": 191_167 }, "orders_to_redact": [1001],
    })
    .to_string()
}

/// The bytes that an envelope signs.
fn payload(envelope: &[u8]) -> Vec<u8> {
    Envelope::parse(envelope).unwrap().payload
}
