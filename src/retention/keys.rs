//! Destroys content keys when nothing is left that they seal.
//!
//! A day's key goes when it is old enough that no process seals with it any more, and when no sealed body of a job and no
//! part of a package names it. Whatever of its days could still be asked for again keeps it as well: a log row of a webhook,
//! a package that was not removed. Keys of the transport stay: what a broker still carries, or has parked, no database knows.

use chrono::{DateTime, TimeDelta, Utc};
use entity::audit_log::Action;
use entity::sealing_key::Model;
use serde_json::json;

use super::{Retention, RetentionError, guard};
use crate::audit::{self, Actor, Entry};
use crate::clock::rfc3339;
use crate::store::content_key::{self, Sealed};

/// How old a key is at least. It seals on the day that it was made, and for two days more when the database is silent.
const AGE_MIN: TimeDelta = TimeDelta::days(8);
/// What was received so long before a key was made may have been sealed with it: clocks differ.
const BEFORE: TimeDelta = TimeDelta::days(1);
/// And so long after.
const AFTER: TimeDelta = TimeDelta::days(4);

impl Retention {
    /// Destroys the content keys that nothing needs any more, each with an audit entry, and returns their ids. Does nothing
    /// where every run is a dry run.
    ///
    /// # Errors
    /// [`RetentionError::Clock`], or when the database does not answer: keys destroyed until then stay destroyed.
    pub async fn destroy_keys(&self) -> Result<Vec<String>, RetentionError> {
        if self.settings.dry_run {
            return Ok(Vec::new());
        }
        if let Some(seconds) = guard::clocks_apart(&self.store, &self.clock).await? {
            return Err(RetentionError::Clock(seconds));
        }
        self.destroy_keys_at(self.clock.now()).await
    }

    /// As [`Retention::destroy_keys`], as of `now`, which nobody compares with a clock.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn destroy_keys_at(&self, now: DateTime<Utc>) -> Result<Vec<String>, RetentionError> {
        let mut destroyed = Vec::new();
        for key in content_key::living_made_before(self.store.db(), now - AGE_MIN).await? {
            let days = (key.created_at - BEFORE, key.created_at + AFTER);
            let sealed = Sealed { by: &key.id, received: days };
            let tx = self.store.begin_write().await?;
            if !content_key::destroy_if_unneeded(&*tx, &sealed, now).await? {
                tx.rollback().await?;
                continue;
            }
            audit::append(&*tx, now, vec![entry(&key)]).await?;
            tx.commit().await?;
            metrics::counter!("efface_content_keys_destroyed_total", "purpose" => key.purpose.as_str()).increment(1);
            tracing::info!(key.id = %key.id, "a content key is destroyed: nothing is left that it seals");
            destroyed.push(key.id);
        }
        Ok(destroyed)
    }
}

fn entry(key: &Model) -> Entry {
    Entry {
        actor: Actor::System("scheduler"),
        action: Action::Delete,
        resource_type: "SealingKey",
        resource_id: key.id.clone(),
        shop_domain: None,
        metadata: json!({ "purpose": key.purpose, "madeAt": rfc3339(key.created_at) }),
    }
}
