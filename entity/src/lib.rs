//! Rows: one file per table, each saying who sets a field, when, and when it never changes again.
//!
//! Efface's own tables come first. The reference app's tables follow in [`mod@reference`]: they belong to the app, and only
//! the default data map and the demo know them.
//!
//! Instants of our own tables are UTC in whole milliseconds: `timestamptz` on PostgreSQL, RFC 3339 text on SQLite
//! (`2026-11-21T05:42:00.123+00:00`, which sorts as time does).

mod text_enum;
pub use text_enum::UnknownText;

pub mod source;

pub mod gdpr_job;
pub mod webhook_log;
pub mod audit_log;
pub mod audit_span;
pub mod audit_tree;
pub mod audit_tile;
pub mod audit_checkpoint;
pub mod deletion_receipt;
pub mod retention_run;
pub mod legal_hold;
pub mod suppression;
pub mod export_package;
pub mod export_part;
pub mod scheduler_lease;
pub mod sealing_key;

pub mod reference;
