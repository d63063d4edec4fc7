//! What the migrations guarantee, the same on both databases.
//!
//! `EFFACE_REGENERATE=1` writes the pinned schemas in `tests/snapshots/` anew instead of comparing with them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

mod house;
mod rows;
mod snapshot;
mod suite;

mod sqlite;
mod postgres;
