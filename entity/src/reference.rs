//! The reference app's tables, as Prisma writes them for a conversion-tracking app.
//!
//! The app sets and changes every field; Efface only deletes rows, and by the data map alone, never through these types.
//! They exist for the demo, for tests and as the shape of the default map. Instants carry no zone and hold UTC
//! (`timestamp(3)` on PostgreSQL, ISO-8601 text on SQLite).

pub mod personal;

pub mod shop;
pub mod conversion_log;
pub mod conversion_job;
pub mod pixel_event_receipt;
pub mod survey_response;
pub mod reconciliation_report;
