//! One row per policy and table of a retention sweep: what was purged, what was held back, and whether a limit stopped it.

use sea_orm::entity::prelude::*;

/// One pass of one policy over one table.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "RetentionRun", rename_all = "camelCase")]
pub struct Model {
    /// A UUID v7. Set when the pass begins; never changes.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub id: String,
    /// The sweep that it is a part of: all passes of one run over the tables. Set when the pass begins; never changes.
    #[sea_orm(column_type = "Text", nullable)]
    pub sweep_id: Option<String>,
    /// What started it (`schedule`, `operator`). Set when the pass begins; never changes.
    #[sea_orm(column_type = "Text")]
    pub trigger: String,
    /// The policy's name in the data map. Set when the pass begins; never changes.
    #[sea_orm(column_type = "Text")]
    pub policy: String,
    /// The database of the data map that the table is in. Set when the pass begins; never changes.
    #[sea_orm(column_type = "Text")]
    pub store: String,
    /// The table that was swept. Set when the pass begins; never changes.
    #[sea_orm(column_type = "Text")]
    pub table_name: String,
    /// Rows older than this were due. Null where each shop has its own. Set when the pass begins; never changes.
    pub cutoff: Option<DateTimeUtc>,
    /// Rows that were due when the pass began, those that are held not among them. Set when the pass begins; never changes.
    pub rows_due: i64,
    /// Rows purged so far (or that would be, in a dry run). Raised with each batch, in its transaction.
    pub rows_purged: i64,
    /// Rows that were due but lie under a legal hold. Set when the pass ends; never changes after.
    pub rows_held: i64,
    /// Batches committed so far. Raised with each batch.
    pub batches: i32,
    /// How it deleted (page ranges, per shop, …). Set when the pass ends; never changes after.
    #[sea_orm(column_type = "Text", nullable)]
    pub strategy: Option<String>,
    /// Why it deleted so. Set when the pass ends; never changes after.
    #[sea_orm(column_type = "Text", nullable)]
    pub because: Option<String>,
    /// The longest transaction, in milliseconds. Set when the pass ends; never changes after.
    pub longest_ms: i64,
    /// Whether the database was told to clear away what was emptied. Set when the pass ends; never changes after.
    pub vacuumed: bool,
    /// Where the next pass goes on. Set when a limit ended this one; never changes after.
    #[sea_orm(column_type = "Text", nullable)]
    pub resume: Option<String>,
    /// Whether it only counted. Set when the pass begins; never changes.
    pub dry_run: bool,
    /// Whether a limit stopped it before everything due was gone. Set when the pass ends; never changes after.
    pub limit_reached: bool,
    /// Why it failed, without personal data. Set when the pass fails; never changes after.
    #[sea_orm(column_type = "Text", nullable)]
    pub error: Option<String>,
    /// When it began. Set when the pass begins; never changes.
    pub started_at: DateTimeUtc,
    /// When it ended. Null while it runs, and for ever when the process died under it.
    pub finished_at: Option<DateTimeUtc>,
}

impl ActiveModelBehavior for ActiveModel {}
