//! Keeps personal data unreadable: typed in memory, sealed at rest, under keys that can be destroyed.
//!
//! [`Pii`] wraps personal data in memory. [`seal`] encrypts one payload under a data key of its own, which a
//! [`ContentKey`] wraps; the content key in turn is wrapped by a key of the [`Keyring`] file. Destroying a content key
//! makes all payloads under it unreadable, wherever copies of them lie.

pub mod content_keys;
pub mod envelope;
pub mod keyring;
pub mod pii;
mod wrap;

pub use content_keys::{ContentKeyError, ContentKeys};
pub use envelope::{Aad, ContentKey, SealError, is_envelope, key_id, open, seal};
pub use keyring::{Keyring, KeyringError, WrappedKey};
pub use pii::Pii;
