//! How the tables came to be: steps up and down, the same on PostgreSQL and SQLite.
//!
//! [`up`], [`down`] and [`status`] are the whole interface. Many processes may call [`up`] at once: each takes the
//! database's own lock first, then sees what the others have done. All pending steps commit together or not at all.
//!
//! Efface may live in the database of an app that uses the same migration library, so both lists of applied steps
//! have names of their own.

mod columns;
mod lock;
mod run;

mod m20261121_000001_jobs_and_webhooks;
mod m20261121_000002_evidence_and_retention;
mod m20261121_000003_packages_and_keys;
mod m20261121_000004_plans;
mod m20261121_000005_legal_holds;
mod m20261121_000006_package_links;
mod m20261121_000008_suppression;
mod m20261121_000009_retention;
mod m20261121_000010_audit_tree;
mod m20261121_000012_row_storage;
mod m20261121_000020_audit_order;
mod m20261121_000021_audit_spans;
mod m20261122_000001_audit_guards;
mod r20261121_000001_reference_app;

use sea_orm_migration::prelude::*;

pub use run::{Applied, MigrationError, MigrationState, OWN_TABLES, REFERENCE_TABLES, down, status, up};

/// The list of Efface's own steps that are applied.
const OWN_STEPS: &str = "efface_migrations";
/// That of the reference app's.
const REFERENCE_STEPS: &str = "efface_reference_migrations";

/// Efface's own tables.
#[derive(Clone, Copy, Debug)]
pub struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261121_000001_jobs_and_webhooks::Migration),
            Box::new(m20261121_000002_evidence_and_retention::Migration),
            Box::new(m20261121_000003_packages_and_keys::Migration),
            Box::new(m20261121_000004_plans::Migration),
            Box::new(m20261121_000005_legal_holds::Migration),
            Box::new(m20261121_000006_package_links::Migration),
            Box::new(m20261121_000008_suppression::Migration),
            Box::new(m20261121_000009_retention::Migration),
            Box::new(m20261121_000010_audit_tree::Migration),
            Box::new(m20261121_000012_row_storage::Migration),
            Box::new(m20261121_000020_audit_order::Migration),
            Box::new(m20261121_000021_audit_spans::Migration),
            Box::new(m20261122_000001_audit_guards::Migration),
        ]
    }

    fn migration_table_name() -> DynIden {
        OWN_STEPS.into_iden()
    }
}

/// The reference app's tables, applied only when `database.reference_schema` asks for them.
#[derive(Clone, Copy, Debug)]
pub struct ReferenceMigrator;

impl MigratorTrait for ReferenceMigrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(r20261121_000001_reference_app::Migration)]
    }

    fn migration_table_name() -> DynIden {
        REFERENCE_STEPS.into_iden()
    }
}
