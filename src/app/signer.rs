//! Makes the signer of receipts from keys and configuration.

use crate::config::{Config, Horizon as Days, Origin};
use crate::evidence::horizon::{Horizon, Stated};
use crate::evidence::receipt::Signer;
use crate::evidence::statement::StatedBy;
use crate::seal::Keyring;

/// The signer of an installation.
pub fn signer(config: &Config, keyring: &Keyring) -> Signer {
    let Days { vacuum_days, wal_days, replicas_days, backups_days, broker_days } = config.evidence.horizon;
    let stated = |key: &str, days: u32| {
        let is_default = config.origin(key) == Some(&Origin::Default);
        Stated { days, by: if is_default { StatedBy::Default } else { StatedBy::Operator } }
    };
    let horizon = Horizon {
        dead_rows: stated("evidence.horizon.vacuum_days", vacuum_days),
        write_ahead_log: stated("evidence.horizon.wal_days", wal_days),
        replicas: stated("evidence.horizon.replicas_days", replicas_days),
        backups: stated("evidence.horizon.backups_days", backups_days),
        broker: stated("evidence.horizon.broker_days", broker_days),
    };
    Signer::new(keyring, horizon, config.retention.receipts_days)
}
