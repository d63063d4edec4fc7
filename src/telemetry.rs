//! Logs as sentences with fields, and never personal data.
//!
//! Logs go to stderr: text for a person at a terminal, one JSON object a line otherwise. `NO_COLOR` is respected. Some
//! crates print message bodies or SQL values with their logs; [`CAPS`] keeps them silent whatever the filter says.

mod filter;
mod panic;

use std::io::{IsTerminal as _, stderr};

use tracing_subscriber::filter::FilterExt as _;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{fmt, registry};

pub use filter::{CAPS, Filter, NotAFilter};

/// The form of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Text on a terminal, JSON otherwise.
    #[default]
    Auto,
    Text,
    Json,
}

/// Starts logging for this process, and sends panics to the log. Later calls change nothing.
pub fn start(format: Format, filter: &Filter) {
    let terminal = stderr().is_terminal();
    let json = match format {
        Format::Auto => !terminal,
        Format::Text => false,
        Format::Json => true,
    };
    let lines = fmt::layer().with_writer(stderr);
    let lines = if json {
        lines.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed()
    } else {
        lines.with_ansi(terminal && colour_is_welcome()).boxed()
    };
    let started = registry().with(lines.with_filter(filter.targets().and(filter::caps()))).try_init();
    if started.is_ok() {
        panic::report_to_log();
    }
}

/// False when `NO_COLOR` holds anything, as <https://no-color.org> asks.
pub fn colour_is_welcome() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
