//! Legal holds: orders not to erase, each with who placed it, why, and when it is looked at again.
//!
//! A hold covers a shop, a person in a shop, or a table. [`Holds::in_force`] is the question that is asked before every
//! step of an erasure, in the step's own transaction; it costs one statement for a whole batch, and nothing else while
//! no hold is in force. A person's identifiers are kept as keyed hashes only: a hold says that somebody is held, and to
//! whoever knows the person, who; it tells nobody a name.

mod identifier;
mod person;
mod place;
mod query;
mod question;
mod wish;

use std::sync::Arc;

use crate::clock::Clock;
use crate::seal::{ContentKeys, Keyring};
use crate::store::{Store, StoreError};

pub use identifier::{Identifier, Kind};
pub use query::{Filter, identifiers, page, review_is_overdue};
pub use question::{Cover, Question};
pub use wish::{BadWish, SubjectWish, Wish, check_reason};

/// The table's name, as the audit log writes it.
pub const TABLE: &str = "LegalHold";

/// Which tables an erasure may touch: a hold on any of them holds the whole job.
#[derive(Clone, Debug, Default)]
pub struct Reach {
    /// Tables in which something is done for `customers/redact`.
    pub customer: Vec<String>,
    /// Tables in which something is done for `shop/redact`, the shop's own among them.
    pub shop: Vec<String>,
}

/// Why a hold could not be placed or released: nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub enum HoldError {
    /// What was asked for makes no hold.
    #[error(transparent)]
    Wish(#[from] BadWish),
    /// There is no such hold.
    #[error("there is no hold {0}")]
    NotFound(String),
    /// It was released before.
    #[error("the hold {0} was released before")]
    Released(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The room's tools. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Holds {
    store: Store,
    clock: Clock,
    keyring: Arc<Keyring>,
    keys: ContentKeys,
    reach: Arc<Reach>,
}

impl Holds {
    /// `reach` comes from the data map; `keyring` makes the hashes, `keys` open sealed bodies.
    pub fn new(store: Store, clock: Clock, keyring: Arc<Keyring>, keys: ContentKeys, reach: Reach) -> Self {
        Self { store, clock, keyring, keys, reach: Arc::new(reach) }
    }
}
