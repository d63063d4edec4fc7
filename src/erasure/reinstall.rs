//! Guards a shop that was installed again: its `shop/redact` was sent for the installation before.
//!
//! The platform sends `shop/redact` 48 hours after a shop uninstalls the app, and nobody says what it means when the shop
//! has come back by then. The question is asked with the shop's row locked, in the transaction that goes on to erase,
//! so that no installation slips in between.

use chrono::{DateTime, Utc};
use sea_orm::ConnectionTrait;

use crate::store::StoreError;
use crate::store::target::{self, ShopRow, ShopTable};

/// The reason of a job that waits because its shop was installed again.
pub const REASON: &str = "shop_reinstalled";

/// What becomes of a `shop/redact` whose shop was installed again: `jobs.reinstalled`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// A person decides: the job is held.
    #[default]
    Hold,
    /// What was there when the shop uninstalled the app is erased, and what came later stays.
    EraseBeforeUninstall,
    /// Everything is erased, as if the shop had not come back.
    EraseAll,
}

impl Policy {
    /// The policy of that name in the configuration.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "hold" => Some(Self::Hold),
            "erase_before_uninstall" => Some(Self::EraseBeforeUninstall),
            "erase_all" => Some(Self::EraseAll),
            _ => None,
        }
    }
}

/// What may be erased of a shop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// Everything.
    Erase,
    /// Rows made before this instant, and not the shop's own row.
    EraseBefore(DateTime<Utc>),
    /// Nothing for now.
    Hold,
}

impl Guard {
    /// Whether everything may be erased.
    pub fn erases(self) -> bool {
        self == Self::Erase
    }
}

/// When a shop installed and uninstalled the app, as far as its row tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dates {
    pub installed_at: Option<DateTime<Utc>>,
    pub uninstalled_at: Option<DateTime<Utc>>,
}

/// Decides for a shop that was installed again. An operator's release stands for the installation that the operator saw,
/// and not for one that came after it.
pub fn decide(policy: Policy, dates: Dates, released_at: Option<DateTime<Utc>>) -> Guard {
    let seen = |released: DateTime<Utc>| dates.installed_at.is_none_or(|installed| installed <= released);
    match (policy, dates.uninstalled_at) {
        (Policy::EraseAll, _) => Guard::Erase,
        _ if released_at.is_some_and(seen) => Guard::Erase,
        (Policy::EraseBeforeUninstall, Some(cutoff)) => Guard::EraseBefore(cutoff),
        (Policy::EraseBeforeUninstall, None) | (Policy::Hold, _) => Guard::Hold,
    }
}

/// What may be erased of a shop whose row the caller has locked.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn guard(
    conn: &impl ConnectionTrait,
    shop: &ShopTable,
    row: &ShopRow,
    policy: Policy,
    released_at: Option<DateTime<Utc>>,
) -> Result<Guard, StoreError> {
    if !row.reinstalled {
        return Ok(Guard::Erase);
    }
    // The dates are read only where they decide something.
    let dates = if policy == Policy::EraseBeforeUninstall || released_at.is_some() {
        let found = target::installations(conn, shop, vec![row.domain.clone()], false).await?;
        found.first().map_or(Dates::default(), |found| Dates {
            installed_at: found.installed_at,
            uninstalled_at: found.uninstalled_at,
        })
    } else {
        Dates::default()
    };
    Ok(decide(policy, dates, released_at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(day: u32) -> DateTime<Utc> {
        format!("2026-11-{day:02}T00:00:00Z").parse().unwrap()
    }

    const DATES: fn() -> Dates = || Dates { installed_at: Some(at(3)), uninstalled_at: Some(at(2)) };

    #[test]
    fn each_policy_decides_for_itself() {
        assert_eq!(decide(Policy::Hold, DATES(), None), Guard::Hold);
        assert_eq!(decide(Policy::EraseBeforeUninstall, DATES(), None), Guard::EraseBefore(at(2)));
        assert_eq!(decide(Policy::EraseAll, DATES(), None), Guard::Erase);
        assert_eq!(decide(Policy::EraseBeforeUninstall, Dates::default(), None), Guard::Hold, "no cutoff, no erasure");
    }

    #[test]
    fn a_release_stands_for_the_installation_that_was_seen() {
        for policy in [Policy::Hold, Policy::EraseBeforeUninstall] {
            assert_eq!(decide(policy, DATES(), Some(at(3))), Guard::Erase);
            assert_eq!(decide(policy, DATES(), Some(at(4))), Guard::Erase);
            assert_ne!(decide(policy, DATES(), Some(at(2))), Guard::Erase, "installed once more after the release");
        }
    }

    #[test]
    fn every_policy_is_read_from_its_name() {
        for (name, policy) in [
            ("hold", Policy::Hold),
            ("erase_before_uninstall", Policy::EraseBeforeUninstall),
            ("erase_all", Policy::EraseAll),
        ] {
            assert_eq!(Policy::parse(name), Some(policy));
        }
        assert_eq!(Policy::parse("erase"), None);
    }
}
