//! Carries the wish to stop to every task.

/// Cancelled once, when the process is asked to stop; every long-running task watches a clone of it.
pub use tokio_util::sync::CancellationToken as Shutdown;
