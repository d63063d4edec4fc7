//! Holds the data map against live schemas: for `serve`, which does not start over a hole, and for the command line.

use std::fmt::Write as _;

use sea_orm::ConnectionTrait;

use super::AppError;
use crate::config::Config;
use crate::erasure::check::{self, FailOn, Finding, Severity};
use crate::erasure::data_map::{OWN_TABLES, StoreMap};
use crate::erasure::reinstall::Policy;
use crate::erasure::stores::Stores;
use crate::store::StoreError;
use crate::store::catalog::{self, Catalog};

/// Reads a live schema, Efface's own tables marked.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn read_catalog(conn: &impl ConnectionTrait) -> Result<Catalog, StoreError> {
    catalog::read(conn, &OWN_TABLES).await
}

/// Reads the live schema that a part of the map is held against. The reference app's tables that Efface made are marked as
/// its own where the map does not name them: no app of yours puts rows there.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn catalog_for(conn: &impl ConnectionTrait, map: &StoreMap) -> Result<Catalog, StoreError> {
    let mut catalog = read_catalog(conn).await?;
    let named = |name: &str| {
        map.tables.iter().any(|table| table.name.as_str() == name)
            || map.shop.as_ref().is_some_and(|shop| shop.table.table.as_str() == name)
    };
    for table in &mut catalog.tables {
        let marks = [format!("efface_{}_key", table.name), format!("efface_{}_shopId_createdAt_idx", table.name)];
        let made_here = migration::REFERENCE_TABLES.contains(&table.name.as_str())
            && table.indexes.iter().any(|index| marks.contains(&index.name));
        table.own |= made_here && !named(&table.name);
    }
    Ok(catalog)
}

/// What is found about the default store's part of the map. Further stores may be away when the house opens;
/// `data-map check` looks at them all.
///
/// # Errors
/// When the database refuses or does not answer.
pub async fn default_findings(config: &Config, stores: &Stores) -> Result<Vec<Finding>, StoreError> {
    let (map, store) = stores.default_store();
    Ok(all_findings(config, map, &catalog_for(store.db(), map).await?))
}

/// What is found about a part of a map, and about the policies that the configuration sets.
pub fn all_findings(config: &Config, map: &StoreMap, catalog: &Catalog) -> Vec<Finding> {
    let mut found = check::findings(map, catalog);
    if config.jobs.reinstalled == Policy::EraseBeforeUninstall {
        found.extend(check::undivided(map, catalog));
        found.sort_by(|a, b| a.table.cmp(&b.table).then(b.severity.cmp(&a.severity)));
    }
    found
}

/// The findings that are heavy enough to fail.
pub fn failing(fail_on: FailOn, findings: &[Finding]) -> Vec<&Finding> {
    findings.iter().filter(|finding| fail_on.fails(finding.severity)).collect()
}

/// Refuses to open the house over findings that `data_map.fail_on` forbids; lighter ones are counted in the log.
pub(super) async fn require_sound(config: &Config, stores: &Stores) -> Result<(), AppError> {
    let findings = default_findings(config, stores)
        .await
        .map_err(|error| AppError::Database(config.database.url.masked(), error))?;
    let failing = failing(config.data_map.fail_on, &findings);
    if !failing.is_empty() {
        return Err(AppError::Findings(failing.into_iter().cloned().collect()));
    }
    let warnings = findings.iter().filter(|finding| finding.severity >= Severity::Warning).count();
    if warnings > 0 {
        tracing::warn!(findings = warnings, "the data map could fit the schema better: see `efface data-map check`");
    }
    Ok(())
}

/// Findings as the lines of an error.
pub(super) fn told(findings: &[Finding]) -> String {
    let mut text = format!("the data map does not fit the schema, {} finding(s):", findings.len());
    for finding in findings {
        let column = finding.column.as_ref().map_or(String::new(), |column| format!(".\"{column}\""));
        let _ = write!(text, "\n  - {} \"{}\"{column}: {}", finding.id, finding.table, finding.sentence);
    }
    text.push_str("\n`efface data-map check` tells what to do about each; data_map.fail_on says what is refused");
    text
}
