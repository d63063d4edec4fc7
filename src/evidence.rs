//! Proves what was done: signed receipts that anyone can check offline, and that hold no personal data.
//!
//! A [`receipt`] is an in-toto [`statement`] in a [`dsse`] envelope, signed with Ed25519. It is made in the transaction
//! that ends its job, and one that speaks of an erasure can only be made from the verifier's
//! [`Verified`](crate::erasure::verify::Verified). [`verify`] checks one without a database.
//! `docs/receipt-format.md` tells the format to whoever writes another verifier.

pub mod bundle;
pub mod canonical;
pub mod checkpoint;
pub mod dsse;
pub mod horizon;
pub mod log;
pub mod leaf;
pub mod merkle;
pub mod pseudonym;
pub mod public_key;
pub mod receipt;
pub mod statement;
mod strict_json;
pub mod verify;
