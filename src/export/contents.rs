//! What a package holds, told without a value of any row: kept in the clear beside its sealed parts.

use serde::{Deserialize, Serialize};

/// The tables of a package, in the data map's order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Contents {
    /// The platform's number of the request, when it gave one.
    pub data_request_id: Option<String>,
    /// Tables that were searched, those without rows included.
    pub tables: Vec<TableContents>,
    /// Tables of the data map that answer no data request.
    pub not_exported: Vec<String>,
    /// Sealed parts, counted from 0 over all tables.
    pub parts: i32,
}

/// One table of a package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TableContents {
    /// The table's name.
    pub name: String,
    /// The exported columns, in the data map's order.
    pub columns: Vec<String>,
    pub rows: u64,
    /// Bytes of the rows as the database gave them.
    pub bytes: u64,
    /// The first part that holds rows of this table.
    pub first_part: i32,
    /// Parts that hold rows of this table, one after the other.
    pub parts: i32,
}

impl Contents {
    /// Rows over all tables.
    pub fn rows(&self) -> u64 {
        self.tables.iter().map(|table| table.rows).sum()
    }
}
