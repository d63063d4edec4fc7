//! Daily content keys, kept wrapped in the database: what all processes seal payloads with, found again by id.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use entity::audit_log::Action;
use entity::sealing_key::{KeyPurpose, Model};
use serde_json::json;

use super::{ContentKey, Keyring, Pii, SealError, WrappedKey, key_id, open};
use crate::clock::Clock;
use crate::store::audit_log::NewEntry;
use crate::store::{Store, StoreError, content_key, id};

/// How long a silent database is asked for the day's key while yesterday's would do.
const PATIENCE: Duration = Duration::from_millis(500);

/// How long an old key goes on serving what is kept in the database. After it, keys that nothing names are destroyed.
const STALE_MAX: TimeDelta = TimeDelta::days(2);

/// Why a content key cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ContentKeyError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The key was destroyed, or belongs to another installation.
    #[error("content key {0} is destroyed or unknown: what it sealed cannot be read any more")]
    Gone(String),
}

/// Content keys by id, and the one of the day per purpose. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ContentKeys {
    inner: Arc<Inner>,
}

/// A day and the key that seals on it.
type OfTheDay = (DateTime<Utc>, Arc<ContentKey>);

#[derive(Debug)]
struct Inner {
    keyring: Arc<Keyring>,
    store: Store,
    clock: Clock,
    by_id: RwLock<HashMap<String, Arc<ContentKey>>>,
    of_the_day: RwLock<HashMap<KeyPurpose, OfTheDay>>,
}

impl ContentKeys {
    /// Content keys wrapped under `keyring`, in `store`.
    pub fn new(keyring: Arc<Keyring>, store: Store, clock: Clock) -> Self {
        let (by_id, of_the_day) = (RwLock::default(), RwLock::default());
        Self { inner: Arc::new(Inner { keyring, store, clock, by_id, of_the_day }) }
    }

    /// The key that `purpose` seals with today (UTC), made when there is none. When the database is away or silent at the
    /// turn of the day, yesterday's key goes on serving: for two days, and for the transport until the database is back.
    ///
    /// # Errors
    /// When no key was ever had and the database does not answer.
    pub async fn current(&self, purpose: KeyPurpose) -> Result<Arc<ContentKey>, ContentKeyError> {
        let inner = &self.inner;
        let day = inner.clock.now().date_naive().and_time(NaiveTime::MIN).and_utc();
        let cached = inner.of_the_day.read().unwrap_or_else(PoisonError::into_inner).get(&purpose).cloned();
        if let Some((of, key)) = &cached
            && *of == day
        {
            return Ok(Arc::clone(key));
        }
        let fetching = self.fetch_or_make(purpose, day);
        let fetched = match cached {
            None => fetching.await?,
            Some((of, _)) if purpose != KeyPurpose::Transport && day - of > STALE_MAX => fetching.await?,
            Some((_, yesterdays)) => match tokio::time::timeout(PATIENCE, fetching).await {
                Ok(Ok(key)) => key,
                Ok(Err(_)) | Err(_) => return Ok(yesterdays),
            },
        };
        // What is destroyed in the database is forgotten here as well; what is still needed is read again.
        inner.by_id.write().unwrap_or_else(PoisonError::into_inner).retain(|id, _| id == fetched.id());
        let mut of_the_day = inner.of_the_day.write().unwrap_or_else(PoisonError::into_inner);
        of_the_day.insert(purpose, (day, Arc::clone(&fetched)));
        Ok(fetched)
    }

    async fn fetch_or_make(&self, purpose: KeyPurpose, day: DateTime<Utc>) -> Result<Arc<ContentKey>, ContentKeyError> {
        let inner = &self.inner;
        if let Some(row) = content_key::first_since(&inner.store, purpose, day).await? {
            return self.unwrap(row);
        }
        let key = ContentKey::random(purpose.as_str(), day.date_naive())?;
        let wrapped = inner.keyring.wrap(key.id().as_bytes(), key.key());
        let now = inner.clock.now();
        let entry = entry(key.id(), purpose, &wrapped.kek_id, now);
        content_key::insert(&inner.store, key.id(), purpose, (wrapped.bytes, wrapped.kek_id), entry).await?;
        // Two processes may have made one at the same time: all go on with the first.
        match content_key::first_since(&inner.store, purpose, day).await? {
            Some(row) => self.unwrap(row),
            None => Err(ContentKeyError::Gone(key.id().to_owned())),
        }
    }

    /// Whether the key file is the one that this database was used with, as far as its newest content key tells.
    ///
    /// # Errors
    /// When the database refuses or does not answer.
    pub async fn are_of_this_database(&self) -> Result<bool, StoreError> {
        let newest = content_key::newest(&self.inner.store).await?;
        Ok(newest.is_none_or(|row| self.unwrap(row).is_ok()))
    }

    /// The key of that id, however old.
    ///
    /// # Errors
    /// [`ContentKeyError::Gone`] when it was destroyed or never was.
    pub async fn by_id(&self, id: &str) -> Result<Arc<ContentKey>, ContentKeyError> {
        if let Some(key) = self.inner.by_id.read().unwrap_or_else(PoisonError::into_inner).get(id) {
            return Ok(Arc::clone(key));
        }
        let row = content_key::find(&self.inner.store, id).await?;
        self.unwrap(row.ok_or_else(|| ContentKeyError::Gone(id.to_owned()))?)
    }

    fn unwrap(&self, row: Model) -> Result<Arc<ContentKey>, ContentKeyError> {
        let bytes = row.wrapped_key.ok_or_else(|| ContentKeyError::Gone(row.id.clone()))?;
        let secret = self.inner.keyring.unwrap(row.id.as_bytes(), &WrappedKey { kek_id: row.kek_id, bytes })?;
        let key = Arc::new(ContentKey::new(row.id.clone(), *secret)?);
        self.inner.by_id.write().unwrap_or_else(PoisonError::into_inner).insert(row.id, Arc::clone(&key));
        Ok(key)
    }

    /// Opens a payload with the key that it names.
    ///
    /// # Errors
    /// When the key is gone, or the payload is not what was sealed.
    pub async fn open(&self, aad: &super::Aad<'_>, sealed: &[u8]) -> Result<Pii<Vec<u8>>, ContentKeyError> {
        let key = self.by_id(key_id(sealed)?).await?;
        Ok(open(&key, aad, sealed)?)
    }
}

/// That a key was made. The audit room stands above this one: the entry is written here, in the key's transaction.
fn entry(key_id: &str, purpose: KeyPurpose, wrapped_by: &str, now: DateTime<Utc>) -> NewEntry {
    NewEntry {
        id: id::row(),
        actor_type: "system",
        actor_id: "keys".to_owned(),
        action: Action::Create,
        resource_type: "SealingKey",
        resource_id: key_id.to_owned(),
        shop_domain: None,
        metadata: json!({ "purpose": purpose, "keyEncryptionKey": wrapped_by }),
        ip_address: None,
        salt: rand::random(),
        created_at: now,
    }
}
