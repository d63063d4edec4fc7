//! Column and index builders, so that a migration reads like the table it makes.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

/// Builds the columns of Efface's own tables for one database.
#[derive(Clone, Copy)]
pub(crate) struct Columns {
    backend: DbBackend,
}

impl Columns {
    pub(crate) fn of(manager: &SchemaManager<'_>) -> Self {
        Self { backend: manager.get_database_backend() }
    }

    fn sqlite(self) -> bool {
        self.backend == DbBackend::Sqlite
    }

    /// The text primary key.
    pub(crate) fn id(self) -> ColumnDef {
        self.text("id").primary_key().take()
    }

    #[expect(clippy::unused_self, reason = "reads like its neighbours in a migration")]
    pub(crate) fn text(self, name: &'static str) -> ColumnDef {
        ColumnDef::new(name).text().not_null().take()
    }

    /// UTC: `timestamptz`, or the text that sqlx writes.
    pub(crate) fn instant(self, name: &'static str) -> ColumnDef {
        let mut column = ColumnDef::new(name);
        if self.sqlite() { column.text() } else { column.timestamp_with_time_zone() }.not_null().take()
    }

    /// `jsonb`, or JSON text.
    pub(crate) fn json(self, name: &'static str) -> ColumnDef {
        let mut column = ColumnDef::new(name);
        if self.sqlite() { column.text() } else { column.json_binary() }.not_null().take()
    }

    #[expect(clippy::unused_self, reason = "reads like its neighbours in a migration")]
    pub(crate) fn bytes(self, name: &'static str) -> ColumnDef {
        ColumnDef::new(name).blob().not_null().take()
    }

    #[expect(clippy::unused_self, reason = "reads like its neighbours in a migration")]
    pub(crate) fn integer(self, name: &'static str) -> ColumnDef {
        ColumnDef::new(name).integer().not_null().take()
    }

    #[expect(clippy::unused_self, reason = "reads like its neighbours in a migration")]
    pub(crate) fn bigint(self, name: &'static str) -> ColumnDef {
        ColumnDef::new(name).big_integer().not_null().take()
    }

    #[expect(clippy::unused_self, reason = "reads like its neighbours in a migration")]
    pub(crate) fn boolean(self, name: &'static str) -> ColumnDef {
        ColumnDef::new(name).boolean().not_null().take()
    }

    /// An instant as Prisma writes it: `timestamp(3)` without zone holding UTC, or ISO-8601 text.
    ///
    /// SQLite takes the type's name as it is; `TEXT` in it makes the column keep text as text.
    pub(crate) fn prisma_instant(self, name: &'static str) -> ColumnDef {
        ColumnDef::new(name).custom(if self.sqlite() { "datetime_text" } else { "timestamp(3)" }).take()
    }

    /// [`Self::prisma_instant`], never null, the current instant when the insert leaves it out.
    pub(crate) fn prisma_now(self, name: &'static str) -> ColumnDef {
        let now = if self.sqlite() { "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')" } else { "now() AT TIME ZONE 'UTC'" };
        self.prisma_instant(name).not_null().default(Expr::cust(now)).take()
    }
}

/// `null(column)`: the same column, but it may be null.
pub(crate) fn null(mut column: ColumnDef) -> ColumnDef {
    column.null().take()
}

/// `or(column, value)`: the same column, with a value for inserts that leave it out.
pub(crate) fn or(mut column: ColumnDef, value: impl Into<Expr>) -> ColumnDef {
    column.default(value).take()
}

/// A table of these columns.
pub(crate) fn table(name: &'static str, columns: impl IntoIterator<Item = ColumnDef>) -> TableCreateStatement {
    let mut table = Table::create();
    table.table(name);
    for column in columns {
        table.col(column);
    }
    table
}

/// An index named `Table_column_column_idx`.
pub(crate) fn index(table: &'static str, columns: &[&'static str]) -> IndexCreateStatement {
    named_index(format!("{table}_{}_idx", columns.join("_")), table, columns)
}

/// A unique index named `Table_column_column_key`.
pub(crate) fn unique(table: &'static str, columns: &[&'static str]) -> IndexCreateStatement {
    named_index(format!("{table}_{}_key", columns.join("_")), table, columns).unique().take()
}

/// An index on these columns, under this name.
pub(crate) fn named_index(
    name: impl Into<String>,
    table: &'static str,
    columns: &[&'static str],
) -> IndexCreateStatement {
    let mut index = Index::create();
    index.name(name).table(table);
    for column in columns {
        index.col(*column);
    }
    index
}

/// Statements that no builder can say, one after the other.
pub(crate) async fn execute(manager: &SchemaManager<'_>, statements: &[&str]) -> Result<(), DbErr> {
    for statement in statements {
        manager.get_connection().execute_unprepared(statement).await?;
    }
    Ok(())
}
