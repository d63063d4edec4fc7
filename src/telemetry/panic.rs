//! Reports a panic to the log without the values it may quote.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::{PanicHookInfo, set_hook};

/// Replaces the default report, which prints the message: an `unwrap` on an error that quotes a row would print the row.
pub(super) fn report_to_log() {
    set_hook(Box::new(|panic| {
        let at = panic.location().map(ToString::to_string).unwrap_or_default();
        let backtrace = Backtrace::capture();
        if backtrace.status() == BacktraceStatus::Captured {
            tracing::error!(panic.at = at, panic.backtrace = %backtrace, "a task panicked: {}", fixed_text(panic));
        } else {
            tracing::error!(panic.at = at, "a task panicked: {}", fixed_text(panic));
        }
    }));
}

/// The message when it is a literal of the program; one with values in it is a `String`, and is left out.
fn fixed_text(panic: &PanicHookInfo<'_>) -> &'static str {
    panic.payload().downcast_ref::<&'static str>().copied().unwrap_or("(its message may hold values and is left out)")
}
