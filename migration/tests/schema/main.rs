//! What the migrations guarantee, the same on both databases.
//!
//! `EFFACE_REGENERATE=1` writes the pinned schemas in `tests/snapshots/` anew instead of comparing with them.

mod house;
mod rows;
mod snapshot;
mod suite;

mod sqlite;
mod postgres;
