//! Who else works in the database while a run goes on, and how far its replicas are behind.

use std::time::Duration;

use sea_orm::{ConnectionTrait as _, DbBackend, QueryResult, Statement};

use crate::store::Store;

/// What a run goes out of the way of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Others {
    /// Whether anybody but Efface has worked in this database within the last two seconds, or may have.
    pub(super) are_working: bool,
    /// How far the slowest replica lags; none where this user may not see it, or where there is none.
    pub(super) lag: Option<Duration>,
}

impl Default for Others {
    /// Nobody can be seen: somebody may be there.
    fn default() -> Self {
        Self { are_working: true, lag: None }
    }
}

/// Sessions of other users show no state to a user without the right to see it: those may be at work.
const LOOK: &str = r#"
    SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND backend_type IS DISTINCT FROM 'autovacuum worker'
        AND pid <> pg_backend_pid() AND application_name IS DISTINCT FROM 'efface'
        AND (state IS NULL OR state <> 'idle' OR state_change > clock_timestamp() - interval '2 seconds')) AS "working",
      (SELECT CAST(max(extract(epoch FROM replay_lag)) AS float8) FROM pg_stat_replication) AS "lag""#;

/// Looks around on PostgreSQL. On SQLite nobody can be seen.
pub(super) async fn look(store: &Store) -> Others {
    if store.backend() != DbBackend::Postgres {
        return Others::default();
    }
    let row = store.db().query_one_raw(Statement::from_string(DbBackend::Postgres, LOOK)).await;
    row.ok().flatten().and_then(|row| read(&row)).unwrap_or_default()
}

fn read(row: &QueryResult) -> Option<Others> {
    let lag: Option<f64> = row.try_get("", "lag").ok()?;
    let lag = lag.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    Some(Others { are_working: row.try_get("", "working").ok()?, lag })
}
