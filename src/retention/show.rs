//! What the rules come to right now: the period in force, what is due, and when the next run comes.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::finding::{Finding, of_unread, period};
use super::holds::{self, Held};
use super::own::POLICIES;
use super::policy::{Period, Policy, cutoff};
use super::sweep::seconds;
use super::work::{self, Place, Work};
use super::{Retention, RetentionError};
use crate::erasure::data_map::{DEFAULT_STORE, MappedTable, Rule};
use crate::store::own_rows::{self, OwnTable};
use crate::store::target::purge;
use crate::store::{StoreError, job_report, scheduler_lease};

/// The rules in force.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Effective {
    /// The schedule as it is written; none: nothing is purged by itself.
    pub schedule: Option<String>,
    pub schedule_in_words: Option<String>,
    pub next_run_at: Option<DateTime<Utc>>,
    pub last_success_at: Option<DateTime<Utc>>,
    /// Every run counts and rolls back.
    pub dry_run: bool,
    pub rules: Vec<EffectiveRule>,
    pub shops: Vec<ShopPeriod>,
    pub findings: Vec<Finding>,
}

/// One rule of one table.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EffectiveRule {
    pub store: String,
    pub table: String,
    /// Its name in the configuration and in run rows.
    pub policy: String,
    pub kind: &'static str,
    /// What it says, in a sentence.
    pub rule: String,
    /// Shops by the period that holds for them here, for rules by shop.
    pub shops_by_period: BTreeMap<String, u64>,
    /// The cutoff, where it is one for all.
    pub cutoff: Option<DateTime<Utc>>,
    pub rows_due: Option<u64>,
    pub rows_held: Option<u64>,
    /// The oldest instant in the column that the time counts from.
    pub oldest: Option<DateTime<Utc>>,
}

/// What one shop chose.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ShopPeriod {
    pub store: String,
    pub shop: String,
    /// `90 days`, `never`; none: what stands there is not allowed, and nothing is purged by it.
    pub period: Option<String>,
    pub uninstalled_at: Option<DateTime<Utc>>,
}

impl Retention {
    /// The rules in force, for all shops or for one.
    ///
    /// # Errors
    /// When the default database does not answer, or there is no such shop.
    pub async fn effective(&self, table: Option<&str>, shop: Option<&str>) -> Result<Effective, RetentionError> {
        let now = self.clock.now();
        let (mut rules, mut shops, mut findings) = (Vec::new(), Vec::new(), Vec::new());
        let held = Held::read(self.store.db()).await?;
        for name in std::iter::once(DEFAULT_STORE).chain(self.stores.others()) {
            let (map, store) = self.store_of(name).await?;
            let place = self.place(map, store, shop).await?;
            if let (true, Some(shop)) = (place.shops.is_empty() && name == DEFAULT_STORE, shop) {
                return Err(RetentionError::NoShop(shop.to_owned()));
            }
            findings.extend(self.findings(&place, table, now).await?);
            for mapped in map.tables.iter().filter(|of| table.is_none_or(|table| of.name.as_str() == table)) {
                for rule in &mapped.retention {
                    rules.push(self.rule(&place, mapped, rule, &held, now, &mut findings).await?);
                }
            }
            if map.shop.as_ref().is_some_and(|shop| shop.retention_days.is_some()) {
                shops.extend(place.shops.iter().map(|shop| ShopPeriod {
                    store: name.to_owned(),
                    shop: shop.domain.clone(),
                    period: period(shop).map(|period| period.to_string()),
                    uninstalled_at: shop.uninstalled_at,
                }));
            }
        }
        if shop.is_none() {
            rules.extend(self.own_rules(table, now).await?);
        }
        let schedule = self.settings.schedule.as_ref();
        Ok(Effective {
            schedule: schedule.map(ToString::to_string),
            schedule_in_words: schedule.map(super::Schedule::in_words),
            next_run_at: schedule.and_then(|schedule| schedule.next_after(now)),
            last_success_at: job_report::last_sweep(self.store.db()).await?,
            dry_run: self.settings.dry_run,
            rules,
            shops,
            findings,
        })
    }

    async fn rule(
        &self,
        place: &Place<'_>,
        table: &MappedTable,
        rule: &Rule,
        held: &Held,
        now: DateTime<Utc>,
        findings: &mut Vec<Finding>,
    ) -> Result<EffectiveRule, StoreError> {
        let mut shops_by_period = BTreeMap::new();
        if matches!(rule.policy, Policy::ByShop { .. }) {
            for shop in &place.shops {
                let period = period(shop).map_or("not allowed".to_owned(), |period| rule.bounded(period).to_string());
                *shops_by_period.entry(period).or_default() += 1;
            }
        }
        let below: BTreeSet<String> = holds::below(&place.catalog, table.name.as_str());
        let mut shown = EffectiveRule {
            store: place.map.name.clone(),
            table: table.name.as_str().to_owned(),
            policy: rule.name.clone(),
            kind: rule.policy.kind(),
            rule: rule.sentence(),
            shops_by_period,
            cutoff: None,
            rows_due: None,
            rows_held: None,
            oldest: None,
        };
        match work::lay_out(place, table, rule, held, &below, now).await? {
            Work::Nothing => {}
            Work::Refused(finding) => findings.push(finding),
            Work::Purge { expiry, cutoff, all_held } => {
                let due = purge::due(place.store, &expiry).await?;
                findings.extend(of_unread(&place.map.name, &shown.table, expiry.column.as_str(), due.unread));
                shown.cutoff = cutoff;
                shown.rows_due = Some(if all_held { 0 } else { due.due });
                shown.rows_held = Some(if all_held { due.due + due.held } else { due.held });
                shown.oldest = due.oldest;
            }
        }
        Ok(shown)
    }

    async fn own_rules(&self, table: Option<&str>, now: DateTime<Utc>) -> Result<Vec<EffectiveRule>, StoreError> {
        let settings = &self.settings;
        let mut rules = Vec::new();
        for (policy, name) in POLICIES.into_iter().filter(|(_, name)| table.is_none_or(|table| table == *name)) {
            let (own, days, rule) = match policy {
                "webhook_log" => (Some(OwnTable::WebhookLog), settings.webhook_log_days, "from receivedAt"),
                "jobs" => (Some(OwnTable::Jobs), settings.jobs_days, "after completedAt"),
                "receipts" => (Some(OwnTable::Receipts), 0, "the end that each names in expiresAt"),
                _ => (None, settings.audit_log_days, "from createdAt"),
            };
            let cutoff = cutoff(Period::Days(days), now);
            let rows_due = match (own, cutoff) {
                (Some(own), Some(cutoff)) => Some(own_rows::due(self.store.db(), own, cutoff, now).await?),
                _ => None,
            };
            rules.push(EffectiveRule {
                store: DEFAULT_STORE.to_owned(),
                table: name.to_owned(),
                policy: policy.to_owned(),
                kind: "own",
                rule: if days == 0 { rule.to_owned() } else { format!("{days} days {rule}") },
                shops_by_period: BTreeMap::new(),
                cutoff,
                rows_due,
                rows_held: None,
                oldest: None,
            });
        }
        Ok(rules)
    }

    /// Who keeps the clock, as the row of the lease says.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn leader(&self) -> Result<Option<String>, StoreError> {
        let lease = scheduler_lease::find(self.store.db(), scheduler_lease::SCHEDULER).await?;
        Ok(lease.filter(|lease| lease.lease_until > self.clock.now()).map(|lease| lease.owner))
    }
}

/// Tells the metrics how a table stands.
#[expect(clippy::cast_precision_loss, reason = "a metric needs no more precision")]
pub(super) fn measure(table: &str, rows_due: u64, oldest: Option<DateTime<Utc>>, now: DateTime<Utc>) {
    metrics::gauge!("efface_retention_rows_due", "table" => table.to_owned()).set(rows_due as f64);
    if let Some(oldest) = oldest {
        let age = (seconds(now) - seconds(oldest)).max(0.0);
        metrics::gauge!("efface_retention_oldest_row_seconds", "table" => table.to_owned()).set(age);
    }
}
