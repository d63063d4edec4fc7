//! Answers who was erased: to a person, by digest.

use entity::gdpr_job::JobStatus;
use entity::suppression::Model;

use super::tombstone::{SHOP_KIND, ShopKey};
use super::{Suppression, SuppressionError};
use crate::erasure::data_map::By;
use crate::erasure::traces::{normal, plain_kind};
use crate::store::suppression;

impl Suppression {
    /// The latest tombstones, of one shop or of all.
    ///
    /// # Errors
    /// When the database refuses or does not answer.
    pub async fn latest(&self, shop: Option<&str>, limit: u64) -> Result<Vec<Model>, SuppressionError> {
        Ok(suppression::latest(self.store.db(), shop, limit).await?)
    }

    /// The tombstones of a whole shop.
    ///
    /// # Errors
    /// When the database refuses or does not answer.
    pub async fn shop_tombstones(&self, shop: &str) -> Result<Vec<Model>, SuppressionError> {
        self.holding(shop, SHOP_KIND, shop).await
    }

    /// The tombstones of whoever has this identifier, as somebody wrote it; none when nothing is left of it in normal form, or
    /// there is no such kind.
    ///
    /// # Errors
    /// When the database refuses or does not answer.
    pub async fn tombstones_of(
        &self,
        shop: &str,
        kind: &str,
        value: &str,
    ) -> Result<Option<Vec<Model>>, SuppressionError> {
        let by = [By::OrderId, By::CustomerId, By::Email, By::Phone].into_iter().find(|by| plain_kind(*by) == kind);
        match by.and_then(|by| normal(by, value)) {
            Some(value) => Ok(Some(self.holding(shop, kind, &value).await?)),
            None => Ok(None),
        }
    }

    async fn holding(&self, shop: &str, kind: &str, value: &str) -> Result<Vec<Model>, SuppressionError> {
        let mut rows = Vec::new();
        for id in self.keyring.digest_key_ids() {
            let Some(key) = ShopKey::of(&self.keyring, id, shop) else { continue };
            let digest = key.digest(kind, value);
            rows.extend(suppression::holding(self.store.db(), shop, digest, self.clock.now()).await?);
        }
        Ok(rows)
    }

    /// How children stand: id and status.
    ///
    /// # Errors
    /// When the database refuses or does not answer.
    pub async fn statuses(&self, jobs: &[String]) -> Result<Vec<(String, JobStatus)>, SuppressionError> {
        let mut statuses = Vec::new();
        for jobs in jobs.chunks(5_000) {
            statuses.extend(suppression::statuses(self.store.db(), jobs).await?);
        }
        Ok(statuses)
    }
}
