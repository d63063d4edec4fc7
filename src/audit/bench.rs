//! Switches the log off, to measure what it costs. Only builds with the feature `bench` have this, and they serve nobody:
//! see `cli::serve`.

use std::sync::OnceLock;

/// When it is set, nothing is appended.
const SWITCH: &str = "EFFACE_BENCH_WITHOUT_AUDIT_LOG";

/// Whether this process works without the log.
pub fn is_switched_off() -> bool {
    static OFF: OnceLock<bool> = OnceLock::new();
    *OFF.get_or_init(|| std::env::var_os(SWITCH).is_some())
}
