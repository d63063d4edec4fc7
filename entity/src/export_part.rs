//! One row per sealed piece of an export package, small enough to be written and read in bounded memory.

use sea_orm::entity::prelude::*;

/// A part. No field changes after the insert; the row is deleted when its package is removed.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "ExportPart", rename_all = "camelCase")]
pub struct Model {
    /// A UUID v7. Set by the worker; never changes.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub id: String,
    /// The package it belongs to. Set by the worker; never changes.
    #[sea_orm(column_type = "Text", unique_key = "place")]
    pub package_id: String,
    /// Its place in the package, from 0. Set by the worker; never changes.
    #[sea_orm(unique_key = "place")]
    pub sequence: i32,
    /// The table that its rows come from. Set by the worker; never changes.
    #[sea_orm(column_type = "Text")]
    pub table_name: String,
    /// Rows in it. Set by the worker; never changes.
    pub rows: i32,
    /// The rows as JSON, sealed. Set by the worker; never changes.
    pub sealed: Vec<u8>,
}

impl ActiveModelBehavior for ActiveModel {}
