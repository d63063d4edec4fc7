//! `[database]`: Efface's own tables.

use std::path::PathBuf;

use super::reader::Reader;
use super::secret::ServiceUrl;

/// The databases that Efface speaks, by the scheme of their URL.
pub(super) const SCHEMES: [&str; 3] = ["sqlite", "postgres", "postgresql"];

/// Where Efface's own tables are.
#[derive(Clone, Debug)]
pub struct Database {
    pub url: ServiceUrl,
    /// Whether the reference app's tables are created as well.
    pub reference_schema: bool,
    /// Whether `serve` and `demo` apply pending migrations first.
    pub auto_migrate: bool,
    /// Two at least: a data request reads with one and keeps with another.
    pub connections_max: u32,
}

impl Database {
    pub(super) fn read(reader: &mut Reader) -> Self {
        Self {
            url: reader.service_url("database.url", &SCHEMES, false),
            reference_schema: reader.switch("database.reference_schema"),
            auto_migrate: reader.switch("database.auto_migrate"),
            connections_max: reader.whole("database.connections_max", 2..=1000),
        }
    }

    /// The file of a SQLite database; none for a database in memory, and for any other.
    pub fn sqlite_file(&self) -> Option<PathBuf> {
        let rest = self.url.expose().strip_prefix("sqlite:")?;
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let path = path.strip_prefix("//").unwrap_or(path);
        let in_memory = path.is_empty() || path == ":memory:" || query.split('&').any(|pair| pair == "mode=memory");
        (!in_memory).then(|| PathBuf::from(path))
    }
}
