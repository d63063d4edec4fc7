//! Guards a shop that was installed again: its `shop/redact` was sent for the installation before.
//!
//! The platform sends `shop/redact` 48 hours after a shop uninstalls the app, and nobody says what it means when the shop
//! has come back by then. The question is asked with the shop's row locked, in the transaction that goes on to erase,
//! so that no installation slips in between.

use chrono::{DateTime, Utc};
use sea_orm::ConnectionTrait;

use super::data_map::{MappedTable, StoreMap};
use super::progress::Progress;
use crate::store::StoreError;
use crate::store::target::{self, ShopRow};

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
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Guard {
    /// Everything.
    Erase,
    /// Rows made until this instant, which is included, and not the shop's own row.
    EraseUpTo(DateTime<Utc>),
    /// Nothing for now, and what a person should know of it.
    Hold(Back),
}

/// Why a person must decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Back {
    /// The shop is back, and the policy asks a person.
    Installed,
    /// The shop is back, and this table does not say when its rows were made.
    Undivided(String),
    /// The shop is back, and this table has rows that do not say when they were made.
    Undated(String),
}

impl Back {
    /// The reason that the held job shows: begins with [`REASON`].
    pub fn reason(&self) -> String {
        match self {
            Self::Installed => REASON.to_owned(),
            Self::Undivided(table) => format!("{REASON}: table \"{table}\" has no made_at in the data map"),
            Self::Undated(table) => format!("{REASON}: table \"{table}\" has rows that do not say when they were made"),
        }
    }

    /// Whether a job is held for a shop that came back.
    pub fn is_reason(reason: &str) -> bool {
        reason.split(':').next() == Some(REASON)
    }
}

/// When a shop installed and uninstalled the app, as far as its row tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dates {
    pub installed_at: Option<DateTime<Utc>>,
    pub uninstalled_at: Option<DateTime<Utc>>,
}

/// What decides over a shop.
#[derive(Clone, Copy, Debug, Default)]
pub struct Question {
    /// Whether its row says that it was installed again.
    pub back: bool,
    pub dates: Dates,
    /// When an operator released the job.
    pub released_at: Option<DateTime<Utc>>,
    /// Until when rows are erased by what was begun.
    pub begun: Option<DateTime<Utc>>,
}

/// Decides for a shop. An operator's release stands for the installation that the operator saw, and not for one that came
/// after it. What was begun up to an instant is never carried beyond it.
pub fn decide(policy: Policy, asked: Question) -> Guard {
    let seen = |released: DateTime<Utc>| asked.dates.installed_at.is_none_or(|installed| installed <= released);
    if asked.released_at.is_some_and(seen) {
        return Guard::Erase;
    }
    match (policy, asked.begun) {
        (Policy::Hold, _) if asked.back => Guard::Hold(Back::Installed),
        (_, Some(begun)) => Guard::EraseUpTo(begun),
        (Policy::EraseBeforeUninstall, None) if asked.back => {
            asked.dates.uninstalled_at.map_or(Guard::Hold(Back::Installed), Guard::EraseUpTo)
        }
        (Policy::EraseAll | Policy::EraseBeforeUninstall | Policy::Hold, None) => Guard::Erase,
    }
}

/// What may be erased of a shop whose row, if there is one, the caller has locked.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn guard(
    conn: &impl ConnectionTrait,
    map: &StoreMap,
    row: Option<&ShopRow>,
    policy: Policy,
    progress: &Progress,
) -> Result<Guard, StoreError> {
    let back = row.is_some_and(|row| row.reinstalled);
    let (released_at, begun) = (progress.reinstall_released_at, progress.made_up_to);
    if !back && begun.is_none() {
        return Ok(Guard::Erase);
    }
    // The dates are read only where they decide something.
    let asked = policy == Policy::EraseBeforeUninstall || released_at.is_some();
    let dates = match (&map.shop, row) {
        (Some(shop), Some(row)) if asked => {
            let found = target::installations(conn, &shop.table, vec![row.domain.clone()], false).await?;
            found.first().map_or(Dates::default(), |found| Dates {
                installed_at: found.installed_at,
                uninstalled_at: found.uninstalled_at,
            })
        }
        _ => Dates::default(),
    };
    let guard = decide(policy, Question { back, dates, released_at, begun });
    match (&guard, &map.undivided) {
        (Guard::EraseUpTo(_), Some(table)) => Ok(Guard::Hold(Back::Undivided(table.clone()))),
        _ => Ok(guard),
    }
}

/// A table in which rows of the shop do not say when they were made, if there is any.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn undated(
    conn: &impl ConnectionTrait,
    map: &StoreMap,
    shops: impl Fn(&MappedTable) -> Vec<String>,
) -> Result<Option<String>, StoreError> {
    for table in map.touched(true) {
        for shop in shops(table) {
            if target::has_undated(conn, &table.reach, &shop).await? {
                return Ok(Some(map.told(&table.name)));
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(day: u32) -> DateTime<Utc> {
        format!("2026-11-{day:02}T00:00:00Z").parse().unwrap()
    }

    const DATES: fn() -> Dates = || Dates { installed_at: Some(at(3)), uninstalled_at: Some(at(2)) };

    fn asked(released_at: Option<DateTime<Utc>>, begun: Option<DateTime<Utc>>) -> Question {
        Question { back: true, dates: DATES(), released_at, begun }
    }

    #[test]
    fn each_policy_decides_for_itself() {
        assert_eq!(decide(Policy::Hold, asked(None, None)), Guard::Hold(Back::Installed));
        assert_eq!(decide(Policy::EraseBeforeUninstall, asked(None, None)), Guard::EraseUpTo(at(2)));
        assert_eq!(decide(Policy::EraseAll, asked(None, None)), Guard::Erase);
        let unknown = Question { back: true, ..Question::default() };
        assert_eq!(
            decide(Policy::EraseBeforeUninstall, unknown),
            Guard::Hold(Back::Installed),
            "no cutoff, no erasure"
        );
        for policy in [Policy::Hold, Policy::EraseBeforeUninstall, Policy::EraseAll] {
            assert_eq!(decide(policy, Question::default()), Guard::Erase, "a shop that is not back");
        }
    }

    #[test]
    fn a_release_stands_for_the_installation_that_was_seen() {
        for policy in [Policy::Hold, Policy::EraseBeforeUninstall] {
            assert_eq!(decide(policy, asked(Some(at(3)), None)), Guard::Erase);
            assert_eq!(decide(policy, asked(Some(at(4)), None)), Guard::Erase);
            assert_ne!(decide(policy, asked(Some(at(2)), None)), Guard::Erase, "installed once more after the release");
        }
    }

    #[test]
    fn what_was_begun_up_to_an_instant_goes_no_further() {
        for policy in [Policy::EraseBeforeUninstall, Policy::EraseAll] {
            assert_eq!(decide(policy, asked(None, Some(at(1)))), Guard::EraseUpTo(at(1)));
        }
        assert_eq!(decide(Policy::Hold, asked(None, Some(at(1)))), Guard::Hold(Back::Installed));
        let left_again = Question { back: false, ..asked(None, Some(at(1))) };
        assert_eq!(decide(Policy::Hold, left_again), Guard::EraseUpTo(at(1)));
        assert_eq!(decide(Policy::Hold, asked(Some(at(3)), Some(at(1)))), Guard::Erase, "but by an operator's word");
    }

    #[test]
    fn a_reason_names_the_table_and_reads_as_one() {
        for back in [Back::Installed, Back::Undivided("a".into()), Back::Undated("a".into())] {
            assert!(Back::is_reason(&back.reason()), "{back:?}");
        }
        assert!(!Back::is_reason("legal_hold"));
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
