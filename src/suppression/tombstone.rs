//! What a completed erasure leaves: digests under a key of the shop's own.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use entity::suppression::{Model, Purpose};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sea_orm::ConnectionTrait;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::Settings;
use crate::erasure::progress::Progress;
use crate::erasure::stores::Stores;
use crate::erasure::subject::{Scope, Target};
use crate::erasure::traces;
use crate::seal::Keyring;
use crate::store::StoreError;
use crate::store::suppression::{self, FunctionKey};

/// Bytes of a digest: the first half of HMAC-SHA256. Two different identifiers meet by chance once in 2^64 pairs of billions.
pub const DIGEST_LEN: usize = 16;

/// A digest as a tombstone holds it.
pub type Digest = [u8; DIGEST_LEN];

/// The kind of a whole shop's digest.
pub const SHOP_KIND: &str = "shop";

/// The block size of SHA-256, which HMAC fills its key up to.
const BLOCK: usize = 64;

/// The key of one shop: whoever holds it can test guesses about that shop's customers, and no other's.
pub struct ShopKey {
    key_id: String,
    key: Zeroizing<[u8; 32]>,
    mac: Hmac<Sha256>,
}

impl std::fmt::Debug for ShopKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ShopKey({})", self.key_id)
    }
}

impl ShopKey {
    /// The key of `shop` from the digest key of that id; none when the keys file has no such key.
    pub fn of(keyring: &Keyring, key_id: &str, shop: &str) -> Option<Self> {
        let key = keyring.digest_subkey(key_id, "suppression", shop.as_bytes())?;
        let mac = Hmac::<Sha256>::new_from_slice(key.as_slice()).ok()?;
        Some(Self { key_id: key_id.to_owned(), key, mac })
    }

    /// The digest of one identifier: of its kind, a zero byte, and its form.
    pub fn digest(&self, kind: &str, value: &str) -> Digest {
        let mut mac = self.mac.clone();
        mac.update(kind.as_bytes());
        mac.update(&[0]);
        mac.update(value.as_bytes());
        let mut digest = [0; DIGEST_LEN];
        digest.copy_from_slice(&mac.finalize().into_bytes()[..DIGEST_LEN]);
        digest
    }

    /// The key as the SQL function uses it (RFC 2104: the two blocks that HMAC hashes first).
    pub fn for_function(&self, shop: &str) -> FunctionKey {
        let block = |pad: u8| {
            let mut block = vec![pad; BLOCK];
            block.iter_mut().zip(self.key.iter()).for_each(|(byte, key)| *byte ^= key);
            block
        };
        FunctionKey {
            shop_domain: shop.to_owned(),
            key_id: self.key_id.clone(),
            inner: block(0x36),
            outer: block(0x5c),
        }
    }
}

/// Among the shop's keys, which go by stores' names, the name of the instant up to which rows were erased. No store has it.
pub(super) const MADE_UP_TO: &str = "made up to";

/// A tombstone to be written; what depends on the time of completion is set by [`record`].
#[derive(Clone, Debug)]
pub struct Tombstone {
    row: Model,
    keep: TimeDelta,
    first: Option<TimeDelta>,
    function: Option<FunctionKey>,
}

/// Makes tombstones. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Tombstones {
    keyring: Arc<Keyring>,
    stores: Stores,
    settings: Settings,
}

impl Tombstones {
    pub fn new(keyring: Arc<Keyring>, stores: Stores, settings: Settings) -> Self {
        Self { keyring, stores, settings }
    }

    /// Whether e-mail addresses and phone numbers are remembered although no table is searched for them: the app may ask.
    pub fn wants_personal(&self) -> bool {
        self.settings.function
    }

    /// The tombstone of a job. None for a child, whose parent's stands; Of a shop, the keys that it was found under go along,
    /// and the instant up to which its rows were erased, when it came back.
    pub fn of(
        &self,
        job_id: &str,
        payload: &serde_json::Value,
        target: &Target,
        progress: &Progress,
    ) -> Option<Tombstone> {
        if payload.get(super::PARENT).is_some() {
            return None;
        }
        let shop = &target.shop_domain;
        let key = ShopKey::of(&self.keyring, self.keyring.digest_key_id(), shop)?;
        let mut digests = Vec::new();
        let purpose = match &target.scope {
            Scope::Shop => {
                digests.extend(key.digest(SHOP_KIND, shop));
                Purpose::Shop
            }
            Scope::Subject(subject) => {
                for (kind, value) in traces::of_subject(self.stores.maps(), subject) {
                    digests.extend(key.digest(&kind, &value));
                }
                Purpose::Customer
            }
        };
        let mut shop_keys = progress.shops.clone();
        shop_keys.extend(progress.made_up_to.map(|at| (MADE_UP_TO.to_owned(), at.to_rfc3339())));
        let shop_keys = (purpose == Purpose::Shop && !shop_keys.is_empty()).then(|| serde_json::json!(shop_keys));
        let row = Model {
            created_at: DateTime::UNIX_EPOCH,
            job_id: job_id.to_owned(),
            shop_domain: shop.clone(),
            shop_id: target.shop_number.clone(),
            purpose,
            key_id: key.key_id.clone(),
            digests,
            shop_keys,
            expires_at: DateTime::UNIX_EPOCH,
            sweeps_done: 0,
            next_sweep_at: None,
        };
        let function = self.settings.function.then(|| key.for_function(shop));
        let first = self.settings.sweeps.first().copied();
        Some(Tombstone { row, keep: self.settings.keep, first, function })
    }

    /// Brings the SQL function's tables in step with the setting: filled from all tombstones, or empty. Called at start.
    ///
    /// # Errors
    /// When the database refuses or does not answer.
    pub async fn prepare_function(&self) -> Result<(), StoreError> {
        let store = self.stores.default_store().1;
        let filled = suppression::function_is_filled(store.db()).await?;
        if filled == self.settings.function {
            return Ok(());
        }
        let tx = store.begin_write().await?;
        if self.settings.function {
            let mut after = None;
            loop {
                let page = suppression::page(&*tx, DateTime::UNIX_EPOCH, after.as_ref(), 5_000).await?;
                let Some(last) = page.last() else { break };
                after = Some((last.created_at, last.job_id.clone()));
                self.fill(&*tx, &page).await?;
            }
            let mark =
                FunctionKey { shop_domain: String::new(), key_id: String::new(), inner: Vec::new(), outer: Vec::new() };
            suppression::fill_function(&*tx, &[mark], &BTreeMap::new()).await?;
        } else {
            suppression::empty_function(&*tx).await?;
        }
        tx.commit().await
    }

    /// Adds rows to what the SQL function reads, when it is switched on.
    ///
    /// # Errors
    /// When the database refuses or does not answer.
    pub async fn fill(&self, conn: &impl ConnectionTrait, rows: &[Model]) -> Result<(), StoreError> {
        if !self.settings.function {
            return Ok(());
        }
        let mut keys: HashMap<(&str, &str), FunctionKey> = HashMap::new();
        for row in rows {
            if let Some(key) = ShopKey::of(&self.keyring, &row.key_id, &row.shop_domain) {
                keys.entry((&row.shop_domain, &row.key_id)).or_insert_with(|| key.for_function(&row.shop_domain));
            }
        }
        let keys: Vec<FunctionKey> = keys.into_values().collect();
        suppression::fill_function(conn, &keys, &until(rows)).await
    }
}

/// Each digest with the latest time until which a row keeps it.
fn until(rows: &[Model]) -> BTreeMap<Digest, DateTime<Utc>> {
    let mut until = BTreeMap::new();
    for row in rows {
        for digest in digests(row) {
            let at = until.entry(digest).or_insert(row.expires_at);
            *at = row.expires_at.max(*at);
        }
    }
    until
}

/// The digests of a row.
pub fn digests(row: &Model) -> impl Iterator<Item = Digest> {
    row.digests.as_chunks::<DIGEST_LEN>().0.iter().copied()
}

/// Writes tombstones in the transaction that completes their jobs: one statement for all, and two more with the SQL function.
///
/// # Errors
/// When the database refuses or does not answer: then no job may complete.
pub async fn record(
    conn: &impl ConnectionTrait,
    now: DateTime<Utc>,
    tombstones: impl Iterator<Item = &Tombstone>,
) -> Result<(), StoreError> {
    let (mut rows, mut function): (Vec<Model>, HashMap<String, FunctionKey>) = Default::default();
    for Tombstone { row, keep, first, function: key } in tombstones {
        if let Some(key) = key {
            function.entry(key.shop_domain.clone()).or_insert_with(|| key.clone());
        }
        rows.push(Model {
            created_at: now,
            expires_at: now + *keep,
            next_sweep_at: first.map(|first| now + first),
            ..row.clone()
        });
    }
    if rows.is_empty() {
        return Ok(());
    }
    let written = suppression::insert(conn, &rows).await?;
    crate::store::error::exactly("writing tombstones", rows.len() as u64, written)?;
    if !function.is_empty() {
        let keys: Vec<FunctionKey> = function.into_values().collect();
        suppression::fill_function(conn, &keys, &until(&rows)).await?;
    }
    Ok(())
}
