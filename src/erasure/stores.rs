//! The databases that the map speaks of: Efface's own, and further ones that are opened when they are first needed.
//!
//! A further store that does not answer must not keep webhooks from being accepted: only the jobs that need it wait.

use std::sync::Arc;

use entity::gdpr_job::JobType;
use tokio::sync::OnceCell;

use super::data_map::{Draft, Problems, StoreMap};
use super::standing_plan::StandingPlan;
use crate::seal::Pii;
use crate::store::{PoolLimits, Store, StoreError, target};

/// Where a further store is.
#[derive(Debug)]
pub struct Address {
    pub name: String,
    pub url: Pii<String>,
    pub limits: PoolLimits,
}

/// All stores of a map. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Stores {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    digest: String,
    plans: Vec<(JobType, String)>,
    personal: bool,
    default: (StoreMap, Store),
    others: Vec<Other>,
}

#[derive(Debug)]
struct Other {
    map: StoreMap,
    address: Address,
    open: OnceCell<(StoreMap, Store)>,
}

impl Stores {
    /// Binds the default store's part of the map to its live schema. Further stores are opened later.
    ///
    /// # Errors
    /// When the default database does not answer; and all problems at once: those of the draft, of the default store's part,
    /// and every store of the map without an address.
    pub async fn new(draft: Draft, default: Store, mut addresses: Vec<Address>) -> Result<Self, StoresError> {
        let catalog = target::catalog(default.db()).await?;
        let Draft { map, mut problems } = draft;
        let bound = map.default_store().bind(&catalog).unwrap_or_else(|Problems(more)| {
            problems.extend(more);
            map.default_store().clone()
        });
        let mut others = Vec::new();
        for part in &map.stores[1..] {
            match addresses.iter().position(|address| address.name == part.name) {
                Some(at) => {
                    let address = addresses.swap_remove(at);
                    others.push(Other { map: part.clone(), address, open: OnceCell::new() });
                }
                None => problems.push(format!("store \"{0}\": stores.{0}.url is not configured", part.name)),
            }
        }
        if !problems.is_empty() {
            return Err(Problems(problems).into());
        }
        let inner = Inner {
            digest: map.digest.clone(),
            plans: JobType::ALL.iter().map(|job_type| (*job_type, StandingPlan::of(&map, *job_type).hash)).collect(),
            personal: map.needs_personal_identifiers(),
            default: (bound, default),
            others,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Efface's own database with its part of the map.
    pub fn default_store(&self) -> (&StoreMap, &Store) {
        (&self.inner.default.0, &self.inner.default.1)
    }

    /// Names of the further stores, in the map's order.
    pub fn others(&self) -> impl Iterator<Item = &str> {
        self.inner.others.iter().map(|other| other.map.name.as_str())
    }

    /// A further store with its part of the map, held against its live schema.
    ///
    /// # Errors
    /// When it does not answer, or its schema does not fit; the text names the store.
    pub async fn other(&self, name: &str) -> Result<(&StoreMap, &Store), StoreError> {
        let missing = || StoreError::Refused("no such store".into()).of_store(name);
        let other = self.inner.others.iter().find(|other| other.map.name == name).ok_or_else(missing)?;
        let opened = other.open.get_or_try_init(|| other.open()).await.map_err(|error| error.of_store(name))?;
        Ok((&opened.0, &opened.1))
    }

    /// All stores, the default one first.
    ///
    /// # Errors
    /// As [`Stores::other`].
    pub async fn all(&self) -> Result<Vec<(&StoreMap, &Store)>, StoreError> {
        let mut all = vec![self.default_store()];
        for other in &self.inner.others {
            all.push(self.other(&other.map.name).await?);
        }
        Ok(all)
    }

    /// SHA-256 of the map's file.
    pub fn digest(&self) -> &str {
        &self.inner.digest
    }

    /// The hash of the plan of such jobs: see [`StandingPlan`].
    pub fn plan(&self, job_type: JobType) -> Option<&str> {
        self.inner.plans.iter().find(|(of, _)| *of == job_type).map(|(_, hash)| hash.as_str())
    }

    /// The map's parts as far as they are known: bound where the store was opened.
    pub fn maps(&self) -> impl Iterator<Item = &StoreMap> {
        std::iter::once(&self.inner.default.0).chain(self.inner.others.iter().map(|other| &other.map))
    }

    /// Whether any table is searched for what only sealed payloads have.
    pub fn needs_personal_identifiers(&self) -> bool {
        self.inner.personal
    }
}

impl Other {
    async fn open(&self) -> Result<(StoreMap, Store), StoreError> {
        let store = Store::connect(self.address.url.expose(), self.address.limits).await?;
        let catalog = target::catalog(store.db()).await?;
        let map = self.map.bind(&catalog).map_err(|problems| StoreError::Refused(problems.to_string()))?;
        Ok((map, store))
    }
}

/// Why the stores cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoresError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Map(#[from] Problems),
}
