//! Marks shops that uninstalled the app, in the app's own table. Erases nothing.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::{DatabaseTransaction, TransactionTrait as _};

use crate::store::StoreError;
use crate::store::target::{self, ShopTable};

/// What became of the mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// The shop's row says so now.
    Made,
    /// There is no such shop.
    NoShop,
    /// The shop was installed after that: the news is old.
    InstalledSince,
    /// The table did not take it: its columns are not what the data map says.
    Refused,
}

impl Mark {
    /// The mark as the audit log names it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Made => "marked",
            Self::NoShop => "unknown",
            Self::InstalledSince => "installed_since",
            Self::Refused => "not_marked",
        }
    }
}

/// Marks shops as uninstalled at the given instants; one answer per shop, in order. What the app's table does not take
/// spoils nothing else of the transaction.
///
/// A date that lies after the last installation stays: it is that of the app itself, or of an earlier delivery.
///
/// # Errors
/// When the database does not answer, or the rows are locked by others in a way that waiting cures.
pub async fn mark(
    tx: &DatabaseTransaction,
    shop: &ShopTable,
    departures: &[(String, DateTime<Utc>)],
) -> Result<Vec<Mark>, StoreError> {
    let savepoint = tx.begin().await?;
    match try_mark(&savepoint, shop, departures).await {
        Ok(marks) => {
            savepoint.commit().await?;
            Ok(marks)
        }
        Err(StoreError::Refused(why)) => {
            savepoint.rollback().await?;
            tracing::warn!(error = %why, table = %shop.table, "the table of shops did not take an uninstallation");
            Ok(vec![Mark::Refused; departures.len()])
        }
        Err(error) => Err(error),
    }
}

async fn try_mark(
    tx: &DatabaseTransaction,
    shop: &ShopTable,
    departures: &[(String, DateTime<Utc>)],
) -> Result<Vec<Mark>, StoreError> {
    let mut domains: Vec<String> = departures.iter().map(|(domain, _)| domain.clone()).collect();
    domains.sort_unstable();
    domains.dedup();
    let found = target::installations(tx, shop, domains, true).await?;
    let mut rows: HashMap<String, _> = found.into_iter().map(|row| (row.domain.clone(), row)).collect();
    let mut marks = Vec::with_capacity(departures.len());
    for (domain, at) in departures {
        let Some(row) = rows.get_mut(domain) else {
            marks.push(Mark::NoShop);
            continue;
        };
        if row.installed_at.is_some_and(|installed| installed > *at) {
            marks.push(Mark::InstalledSince);
            continue;
        }
        let known = row.uninstalled_at.is_some_and(|left| row.installed_at.is_none_or(|installed| left >= installed));
        target::mark_uninstalled(tx, shop, domain, (!known).then_some(*at)).await?;
        row.uninstalled_at = row.uninstalled_at.filter(|_| known).or(Some(*at));
        marks.push(Mark::Made);
    }
    Ok(marks)
}
