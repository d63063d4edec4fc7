//! What one shop chose, read and written in the app's own row.

use entity::audit_log::Action;
use serde::Serialize;
use serde_json::json;

use super::policy::Period;
use super::{Retention, RetentionError};
use crate::audit::{self, Actor, Entry};
use crate::erasure::execute::retention_days;
use crate::store::target;

/// A shop's choice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Choice {
    pub shop_domain: String,
    /// 30, 60, 90, 180, 365, or 0 for never; whatever stands in the row when it is none of them; null when that is no number.
    pub data_retention_days: Option<i64>,
    /// Whether it is one of those; when not, nothing is purged by it.
    pub allowed: bool,
}

impl Retention {
    /// What a shop chose.
    ///
    /// # Errors
    /// [`RetentionError::NoShop`], also when shops cannot choose.
    pub async fn choice(&self, domain: &str) -> Result<Choice, RetentionError> {
        let (map, store) = self.stores.default_store();
        let unknown = || RetentionError::NoShop(domain.to_owned());
        let shop = map.shop.as_ref().ok_or_else(unknown)?;
        let column = shop.retention_days.as_ref().ok_or_else(unknown)?;
        let row = target::shop_days(store.db(), &shop.table, Some(column), Some(domain)).await?.pop();
        let row = row.ok_or_else(unknown)?;
        let days = row.days.as_deref().and_then(|days| days.trim().parse::<i64>().ok());
        Ok(Choice {
            shop_domain: row.domain,
            data_retention_days: days,
            allowed: days.and_then(Period::of_shop).is_some(),
        })
    }

    /// Writes a shop's choice, with an audit entry; none when the days are not allowed.
    ///
    /// # Errors
    /// As [`Retention::choice`].
    pub async fn choose(&self, actor: Actor, domain: &str, days: i64) -> Result<Option<Choice>, RetentionError> {
        if Period::of_shop(days).is_none() {
            return Ok(None);
        }
        let before = self.choice(domain).await?;
        let (map, store) = self.stores.default_store();
        let (now, days_u32) = (self.clock.now(), u32::try_from(days).unwrap_or_default());
        let tx = store.begin_write().await?;
        if !retention_days::write(&*tx, map, domain, days_u32).await? {
            return Err(RetentionError::NoShop(domain.to_owned()));
        }
        let entry = Entry {
            actor,
            action: Action::Update,
            resource_type: "Shop",
            resource_id: before.shop_domain.clone(),
            shop_domain: Some(before.shop_domain.clone()),
            metadata: json!({ "dataRetentionDays": days, "before": before.data_retention_days }),
        };
        audit::append(&*tx, now, vec![entry]).await?;
        tx.commit().await?;
        Ok(Some(Choice { data_retention_days: Some(days), allowed: true, ..before }))
    }
}
