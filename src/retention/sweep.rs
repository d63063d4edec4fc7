//! One run over all tables: guards first, then each rule of each table, then Efface's own rows.

use std::fmt;
use std::time::Instant;

use chrono::{DateTime, Utc};
use entity::audit_log::Action;
use entity::retention_run::Model;
use serde::Serialize;
use serde_json::json;

use super::finding::{self, Finding, Kind, unreadable};
use super::guard;
use super::lease::Lease;
use super::own::POLICIES;
use super::pass::{Common, Passed, facts};
use super::work::Place;
use super::{Retention, RetentionError, TABLE, Wish};
use crate::audit::{self, Actor, Entry};
use crate::erasure::data_map::{DEFAULT_STORE, StoreMap};
use crate::shutdown::Shutdown;
use crate::store::{Store, StoreError, id, retention_run, target};

/// What a sweep came to.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sweep {
    pub sweep_id: String,
    pub dry_run: bool,
    /// One for each rule of each table.
    #[serde(skip)]
    pub runs: Vec<Model>,
    pub findings: Vec<Finding>,
}

impl Sweep {
    /// Whether everything that was due is gone.
    pub fn is_complete(&self) -> bool {
        self.runs.iter().all(|run| run.error.is_none() && !run.limit_reached)
    }

    /// Rows that went, or would have.
    pub fn rows(&self) -> u64 {
        self.runs.iter().map(|run| run.rows_purged.unsigned_abs()).sum()
    }
}

/// What a sweep says while it goes on.
#[derive(Clone, Debug)]
pub enum Told {
    Begun {
        table: String,
        policy: String,
        rows_due: u64,
    },
    /// A batch has committed.
    Batch {
        rows: u64,
    },
    Ended(Box<Model>),
}

/// Hears what a sweep says.
#[derive(Clone, Copy)]
pub(super) struct Tell<'a>(&'a (dyn Fn(Told) + Send + Sync));

impl Tell<'_> {
    pub(super) fn say(self, told: Told) {
        (self.0)(told);
    }
}

impl fmt::Debug for Tell<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tell")
    }
}

impl Retention {
    /// Purges whatever is due, or only counts it.
    ///
    /// # Errors
    /// See [`RetentionError`]. What went wrong with one table stands in its run's row, and the others go on.
    pub async fn sweep(
        &self,
        wish: &Wish,
        tell: &(dyn Fn(Told) + Send + Sync),
        stop: &Shutdown,
    ) -> Result<Sweep, RetentionError> {
        self.is_known(wish).await?;
        if let Some(seconds) = guard::clocks_apart(&self.store, &self.clock).await? {
            metrics::counter!("efface_retention_failed_total", "table" => "").increment(1);
            tracing::error!(clock.apart_seconds = seconds, "the clock has jumped: nothing is purged");
            return Err(RetentionError::Clock(seconds));
        }
        self.sweep_at(self.clock.now(), wish, tell, stop).await
    }

    /// As [`Retention::sweep`], with all cutoffs counted from `now`, which nobody compares with a clock.
    ///
    /// # Errors
    /// As [`Retention::sweep`].
    pub async fn sweep_at(
        &self,
        now: DateTime<Utc>,
        wish: &Wish,
        tell: &(dyn Fn(Told) + Send + Sync),
        stop: &Shutdown,
    ) -> Result<Sweep, RetentionError> {
        let lease = Lease::take(&self.store, &self.clock, self.settings.lease).await?;
        let swept = self.sweep_under(&lease, now, wish, tell, stop).await;
        let sweep = match swept {
            Ok(sweep) => {
                lease.give_back().await;
                sweep
            }
            Err(error) => {
                lease.give_back().await;
                return Err(error);
            }
        };
        if !sweep.dry_run && sweep.is_complete() && wish.table.is_none() && wish.shop.is_none() {
            metrics::gauge!("efface_retention_last_success_seconds").set(seconds(self.clock.now()));
        }
        let of_kind = |kind| sweep.findings.iter().filter(|finding| finding.kind == kind).count();
        for kind in Kind::ALL {
            metrics::gauge!("efface_retention_findings", "kind" => kind.as_str()).set(count(of_kind(kind)));
        }
        if !sweep.findings.is_empty() {
            tracing::warn!(
                retention.findings = sweep.findings.len(),
                retention.not_redacted = of_kind(Kind::NotRedacted),
                retention.shop_days = of_kind(Kind::ShopDays),
                "a retention run found what a person should look at; `efface retention show`"
            );
        }
        Ok(sweep)
    }

    async fn sweep_under(
        &self,
        lease: &Lease,
        now: DateTime<Utc>,
        wish: &Wish,
        tell: &(dyn Fn(Told) + Send + Sync),
        stop: &Shutdown,
    ) -> Result<Sweep, RetentionError> {
        self.tell_of_interrupted(lease).await?;
        let sweep_id = id::row();
        let dry_run = wish.dry_run || self.settings.dry_run;
        let common = Common {
            room: self,
            lease,
            wish,
            sweep_id: &sweep_id,
            now,
            ends_at: Instant::now() + self.settings.time_max,
            dry_run,
            tell: Tell(tell),
            stop,
        };
        let mut sweep = Sweep { sweep_id: sweep_id.clone(), dry_run, runs: Vec::new(), findings: Vec::new() };
        for name in std::iter::once(DEFAULT_STORE).chain(self.stores.others()) {
            let (map, store) = match self.store_of(name).await {
                Ok(found) => found,
                Err(error) => {
                    sweep.findings.push(unreadable(name, "", &error));
                    continue;
                }
            };
            match self.place(map, store, wish.shop.as_deref()).await {
                Ok(place) => self.store_sweep(&common, &place, &mut sweep).await?,
                Err(error) if name == DEFAULT_STORE => return Err(error.into()),
                Err(error) => sweep.findings.push(unreadable(name, "", &error)),
            }
        }
        sweep.runs.extend(common.own().await?);
        Ok(sweep)
    }

    async fn store_sweep(
        &self,
        common: &Common<'_>,
        place: &Place<'_>,
        sweep: &mut Sweep,
    ) -> Result<(), RetentionError> {
        sweep.findings.extend(self.findings(place, common.wish.table.as_deref(), common.now).await?);
        for table in &place.map.tables {
            if common.wish.table.as_deref().is_some_and(|only| only != table.name.as_str()) {
                continue;
            }
            for rule in &table.retention {
                if common.stop.is_cancelled() {
                    return Ok(());
                }
                match common.pass(place, table, rule).await? {
                    Passed::Nothing => {}
                    Passed::Refused(finding) => sweep.findings.push(finding),
                    Passed::Run { run, unread } => {
                        sweep.runs.push(*run);
                        sweep.findings.extend(unread);
                    }
                }
            }
        }
        Ok(())
    }

    /// What a person should look at in one store; with `table`, of its tables in that one only.
    pub(super) async fn findings(
        &self,
        place: &Place<'_>,
        table: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<Vec<Finding>, StoreError> {
        let strays = finding::of_strays(place, table).await;
        let Some(shop) = &place.map.shop else { return Ok(Vec::new()) };
        let (store, table) = (place.map.name.as_str(), shop.table.table.as_str());
        let mut findings = strays;
        if shop.retention_days.is_some() {
            findings.extend(finding::of_days(store, table, &place.shops));
        }
        if shop.table.uninstalled_at.is_some() {
            let of = (store, table);
            findings.extend(finding::of_uninstalled(&self.store, &self.settings, now, of, &place.shops).await?);
        }
        Ok(findings)
    }

    /// A store of the map with its schema and its shops.
    pub(super) async fn place<'a>(
        &self,
        map: &'a StoreMap,
        store: &'a Store,
        shop: Option<&str>,
    ) -> Result<Place<'a>, StoreError> {
        let catalog = target::catalog(store.db()).await?;
        let shops = match &map.shop {
            None => Vec::new(),
            Some(of) => target::shop_days(store.db(), &of.table, of.retention_days.as_ref(), shop).await?,
        };
        Ok(Place { map, store, catalog, shops, one_shop: shop.is_some() })
    }

    pub(super) async fn store_of(&self, name: &str) -> Result<(&StoreMap, &Store), StoreError> {
        if name == DEFAULT_STORE {
            return Ok(self.stores.default_store());
        }
        self.stores.other(name).await
    }

    /// Whether what is asked for exists.
    async fn is_known(&self, wish: &Wish) -> Result<(), RetentionError> {
        if let Some(table) = &wish.table {
            let own = POLICIES.iter().any(|(_, own)| own == table);
            let mapped = self.stores.maps().flat_map(|map| &map.tables);
            let ruled =
                mapped.filter(|mapped| !mapped.retention.is_empty()).any(|mapped| mapped.name.as_str() == table);
            if !own && !ruled {
                return Err(RetentionError::NoTable(table.clone()));
            }
        }
        let Some(shop) = &wish.shop else { return Ok(()) };
        let (map, store) = self.stores.default_store();
        let place = self.place(map, store, Some(shop)).await?;
        if place.shops.is_empty() { Err(RetentionError::NoShop(shop.clone())) } else { Ok(()) }
    }

    /// Says of passes whose process died that they were interrupted: what they had committed stands in their rows.
    async fn tell_of_interrupted(&self, lease: &Lease) -> Result<(), RetentionError> {
        let now = self.clock.now();
        let tx = self.store.begin_write().await?;
        lease.share(&*tx).await?;
        let runs = retention_run::interrupt_unfinished(&*tx).await?;
        if runs.is_empty() {
            return Ok(tx.rollback().await?);
        }
        let entries = runs.iter().map(|run| Entry {
            actor: Actor::System("scheduler"),
            action: Action::Update,
            resource_type: TABLE,
            resource_id: run.id.clone(),
            shop_domain: None,
            metadata: json!({ "because": "interrupted", "run": facts(run) }),
        });
        audit::append(&*tx, now, entries.collect()).await?;
        Ok(tx.commit().await?)
    }
}

#[expect(clippy::cast_precision_loss, reason = "a metric in seconds")]
pub(super) fn seconds(at: DateTime<Utc>) -> f64 {
    at.timestamp() as f64
}

fn count(n: usize) -> f64 {
    f64::from(u32::try_from(n).unwrap_or(u32::MAX))
}
