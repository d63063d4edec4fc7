//! Gathers what a bundle is made of from the database.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use entity::deletion_receipt::Model as Receipt;
use tokio_util::task::AbortOnDropHandle;

use super::build::{self, Contents};
use super::container::WriteError;
use super::event::{Event, JOBS};
use super::manifest::Scope;
use super::told::Told;
use super::withhold::{MustBeTold, Withholder};
use super::{JOBS_MAX, names, proof};
use crate::clock::rfc3339;
use crate::evidence::checkpoint::SignedCheckpoint;
use crate::evidence::leaf::{self, EntrySalt};
use crate::evidence::log::{Filter, Log, LogError};
use crate::evidence::receipt::{self, Signer};
use crate::redaction::{Engine, Policy};
use crate::store::audit_log::query;
use crate::store::{Store, StoreError, deletion_receipt};

/// Entries read at once.
const PAGE: u64 = 8_192;
/// Entries of one job at one instant: it has one.
const ENTRIES_AT_ONCE: u64 = 100;
/// Entries of one bundle at most.
pub const EVENTS_MAX: usize = 500_000;

/// Makes bundles. Cheap enough to clone.
#[derive(Clone, Debug)]
pub struct Bundles {
    store: Store,
    log: Log,
    signer: Signer,
    data_map: Option<String>,
}

/// What else is wished of a bundle.
#[derive(Debug, Default)]
pub struct Wishes<'a> {
    /// A policy by which fields are withheld, and the engine that masks them.
    pub redact: Option<(&'a Policy, &'a Engine)>,
    /// Leaves receipts out: they are signed as a whole and cannot be redacted.
    pub without_receipts: bool,
    /// An earlier checkpoint, from which the bundle is to prove that the log has grown.
    pub earlier: Option<&'a SignedCheckpoint>,
}

/// Why there is no bundle.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    #[error("there is nothing of it in the signed log: it is too new, pruned, or does not exist")]
    Nothing,
    #[error("it has more than {EVENTS_MAX} entries or {JOBS_MAX} jobs; choose a shorter time")]
    TooMany,
    #[error("the earlier checkpoint is of another log, or of a larger one: this log was rolled back")]
    Earlier,
    #[error(transparent)]
    MustBeTold(#[from] MustBeTold),
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Bundles {
    /// Gathers from `store` and `log`, and signs with `signer`. `data_map` is the text of the map in force.
    pub fn new(store: Store, log: Log, signer: Signer, data_map: Option<String>) -> Self {
        Self { store, log, signer, data_map }
    }

    /// All entries of a job, and its receipt, also when its end is pruned.
    ///
    /// # Errors
    /// [`BundleError`].
    pub async fn of_job(&self, id: &str, wishes: &Wishes<'_>) -> Result<Vec<u8>, BundleError> {
        let filter =
            Filter { resource_type: Some(JOBS.to_owned()), resource_id: Some(id.to_owned()), ..Filter::default() };
        let scope = Scope { job: Some(id.to_owned()), shop: None, from: None, to: None };
        self.bundle(filter, scope, wishes).await
    }

    /// All entries of a shop from an instant to before another, and the receipts of the jobs that ended then.
    ///
    /// # Errors
    /// [`BundleError`].
    pub async fn of_shop(
        &self,
        shop: &str,
        from: Option<DateTime<Utc>>,
        to: Option<DateTime<Utc>>,
        wishes: &Wishes<'_>,
    ) -> Result<Vec<u8>, BundleError> {
        let filter = Filter { shop_domain: Some(shop.to_owned()), from, to, ..Filter::default() };
        let scope = Scope { job: None, shop: Some(shop.to_owned()), from: from.map(rfc3339), to: to.map(rfc3339) };
        self.bundle(filter, scope, wishes).await
    }

    async fn bundle(&self, filter: Filter, scope: Scope, wishes: &Wishes<'_>) -> Result<Vec<u8>, BundleError> {
        match self.log.tend().await {
            // An auditor's role may not place or sign: what is signed by now is what there is.
            Err(LogError::Store(error)) if error.is_denied() => self.log.require_signed().await?,
            tended => drop(tended?),
        }
        let checkpoint = self.log.latest().await?.ok_or(BundleError::Nothing)?;
        let size = checkpoint.checkpoint().size;
        let (minimum_index, events) = loop {
            let minimum_index = self.log.minimum_of(&self.log.head().await?)?;
            let withholder = wishes.redact.map(|(policy, engine)| Withholder::new(policy, engine));
            let events = self.events(&filter, minimum_index, size, withholder).await?;
            // The manifest says that nothing was left out: an entry that is gone would not be missed by those that are read.
            if self.log.is_whole(minimum_index, size).await? {
                break (minimum_index, events);
            }
        };
        let receipts =
            if wishes.without_receipts { None } else { Some(self.receipts(&filter, minimum_index, &events).await?) };
        if events.indices().is_empty() && receipts.as_ref().is_none_or(BTreeMap::is_empty) {
            return Err(BundleError::Nothing);
        }
        let mut inclusion = BTreeMap::new();
        for (id, index) in events.ends() {
            if receipts.as_ref().is_some_and(|receipts| receipts.contains_key(id)) {
                inclusion.insert(id.clone(), (*index, self.log.inclusion(*index, size).await?));
            }
        }
        let proof = self.log.hashes(&proof::nodes(events.indices(), size)).await?;
        let earlier = match wishes.earlier.map(SignedCheckpoint::checkpoint) {
            None => None,
            Some(earlier) if earlier.origin != checkpoint.checkpoint().origin || earlier.size > size => {
                return Err(BundleError::Earlier);
            }
            Some(earlier) => Some((earlier.size, self.log.consistency(earlier.size, size).await?)),
        };
        let contents = Contents {
            scope,
            checkpoint,
            minimum_index,
            events,
            proof,
            receipts,
            inclusion,
            keys: self.log.keys().to_vec(),
            data_map: self.data_map.clone(),
            earlier,
        };
        Ok(build::build(contents, &self.signer)?)
    }

    /// Reads entries from the place `from` on, and withholds fields of them. The database looks for a page while the one before
    /// is worked on.
    async fn events(
        &self,
        filter: &Filter,
        from: u64,
        size: u64,
        mut withholder: Option<Withholder<'_>>,
    ) -> Result<Told, BundleError> {
        let page = |from: u64| {
            let (log, filter) = (self.log.clone(), filter.clone());
            AbortOnDropHandle::new(tokio::spawn(async move { log.entries(&filter, from, size, PAGE).await }))
        };
        let mut events = Told::default();
        let mut coming = page(from);
        loop {
            let read = coming.await.map_err(|_| StoreError::Unavailable("the program ends".to_owned()))??;
            let Some(last) = read.last() else { return Ok(events) };
            coming = page(last.index + 1);
            for placed in read {
                let salt = placed.entry.salt.as_slice().try_into().ok();
                let Some(salt) = salt else {
                    let (id, reason) = (placed.entry.id, "not 32 bytes");
                    return Err(StoreError::Row { table: "AuditLog", column: "salt", id, reason }.into());
                };
                let fields = leaf::fields(&placed.entry, &EntrySalt(salt));
                let mut event = Event { index: placed.index, fields, masked: BTreeMap::new() };
                if let Some(withholder) = &mut withholder {
                    withholder.withhold(&mut event)?;
                }
                events.add(&event);
            }
            if events.indices().len() > EVENTS_MAX {
                return Err(BundleError::TooMany);
            }
        }
    }

    /// The receipts of the jobs that ended among these entries, and of those whose end is pruned.
    async fn receipts(
        &self,
        filter: &Filter,
        minimum_index: u64,
        events: &Told,
    ) -> Result<BTreeMap<String, Vec<u8>>, BundleError> {
        let jobs: BTreeSet<&String> = events.ends().keys().filter(|id| names::is_id(id)).collect();
        if jobs.len() > JOBS_MAX {
            return Err(BundleError::TooMany);
        }
        let mut receipts = BTreeMap::new();
        for id in jobs {
            if let Some(envelope) = receipt::find(&self.store, id).await? {
                receipts.insert(id.clone(), envelope);
            }
        }
        if minimum_index == 0 {
            return Ok(receipts);
        }
        let in_scope = match (&filter.resource_id, &filter.shop_domain) {
            (Some(id), _) => deletion_receipt::of_job(self.store.db(), id).await?.into_iter().collect(),
            (None, shop) => {
                let shop = shop.as_deref().unwrap_or_default();
                deletion_receipt::of_shop(self.store.db(), shop, filter.from, filter.to, JOBS_MAX as u64 + 1).await?
            }
        };
        for receipt in in_scope {
            let is_new = names::is_id(&receipt.job_id) && !receipts.contains_key(&receipt.job_id);
            if is_new && !self.has_unsigned_end(&receipt, minimum_index).await? {
                receipts.insert(receipt.job_id, receipt.envelope);
            }
        }
        if receipts.len() > JOBS_MAX { Err(BundleError::TooMany) } else { Ok(receipts) }
    }

    /// Whether the entry that ended a receipt's job is there, and the signed tree does not hold it yet: without that entry the
    /// receipt would look like a forgery.
    async fn has_unsigned_end(&self, receipt: &Receipt, minimum_index: u64) -> Result<bool, StoreError> {
        let at = Filter {
            resource_type: Some(JOBS.to_owned()),
            resource_id: Some(receipt.job_id.clone()),
            from: Some(receipt.created_at),
            to: Some(receipt.created_at + TimeDelta::milliseconds(1)),
            ..Filter::default()
        };
        let listed = query::list(self.store.db(), &at, None, ENTRIES_AT_ONCE).await?;
        Ok(listed.iter().any(|listed| listed.index.is_none_or(|index| index >= minimum_index)))
    }
}
