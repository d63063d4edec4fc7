//! Which events are logged, and which never are.

use std::fmt;
use std::str::FromStr as _;

use tracing::Metadata;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::{FilterFn, Targets, filter_fn};

/// The most that a target, and everything that starts like it, may log.
///
/// lapin logs a returned message with its body, and frames; sqlx logs statements, slow ones as warnings, and passes on
/// the server's notices; sea-orm records SQL text and bound values; hyper traces what it reads and writes.
pub const CAPS: [(&str, LevelFilter); 6] = [
    ("lapin", LevelFilter::ERROR),
    ("amq_protocol", LevelFilter::ERROR),
    ("sqlx", LevelFilter::ERROR),
    ("sea_orm", LevelFilter::ERROR),
    ("sea_query", LevelFilter::ERROR),
    ("hyper", LevelFilter::INFO),
];

/// A level (`info`), or levels per target (`warn,efface::job=debug`).
#[derive(Clone, Debug)]
pub struct Filter(Targets);

/// The text is neither a level nor a list of targets with levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a log filter")]
pub struct NotAFilter;

impl Filter {
    /// Reads a filter. A single word must be a level: `inf` would otherwise silently name a target.
    ///
    /// # Errors
    /// When the text is not a filter.
    pub fn parse(text: &str) -> Result<Self, NotAFilter> {
        let is_item = |item: &str| match item.split_once('=') {
            Some((target, level)) => !target.trim().is_empty() && LevelFilter::from_str(level.trim()).is_ok(),
            None => LevelFilter::from_str(item).is_ok(),
        };
        let items: Vec<&str> = text.split(',').map(str::trim).collect();
        if !items.iter().all(|item| !item.is_empty() && is_item(item)) {
            return Err(NotAFilter);
        }
        Targets::from_str(&items.join(",")).map(Self).map_err(|_| NotAFilter)
    }

    /// The same level for every target.
    pub fn level(level: LevelFilter) -> Self {
        Self(Targets::new().with_default(level))
    }

    pub(super) fn targets(&self) -> Targets {
        self.0.clone()
    }
}

impl Default for Filter {
    fn default() -> Self {
        Self::level(LevelFilter::INFO)
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Lets through what [`CAPS`] allows.
pub(super) fn caps() -> FilterFn<fn(&Metadata<'_>) -> bool> {
    filter_fn(is_allowed)
}

fn is_allowed(metadata: &Metadata<'_>) -> bool {
    CAPS.iter().all(|(target, most)| !metadata.target().starts_with(target) || metadata.level() <= most)
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::filter::FilterExt as _;
    use tracing_subscriber::fmt::MakeWriter;
    use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};

    use super::*;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Page {
        type Writer = Self;

        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    #[test]
    fn bodies_and_sql_values_stay_out_of_the_log_whatever_the_filter_says() {
        let page = Page::default();
        let filter = Filter::parse("trace,lapin=trace,sqlx::query=trace").unwrap();
        let lines = tracing_subscriber::fmt::layer().with_writer(page.clone());
        let subscriber = tracing_subscriber::registry().with(lines.with_filter(filter.targets().and(caps())));
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(target: "lapin::channel", "body john@example.com");
            tracing::debug!(target: "sqlx::query", "value john@example.com");
            tracing::warn!(target: "sqlx::postgres::notice", "value john@example.com");
            tracing::info!(target: "sea_orm::database", "value john@example.com");
            tracing::error!(target: "lapin::channels", "connection lost");
            tracing::debug!(target: "efface::job", "claimed");
        });
        let text = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
        assert!(!text.contains("john@example.com"), "{text}");
        assert!(text.contains("connection lost") && text.contains("claimed"), "{text}");
    }

    #[test]
    fn a_misspelt_level_is_no_filter() {
        for text in ["inf", "", "info,", "=debug", "efface=loud"] {
            assert_eq!(Filter::parse(text).err(), Some(NotAFilter), "{text}");
        }
        for text in ["info", "off", "warn, efface::job=debug"] {
            assert!(Filter::parse(text).is_ok(), "{text}");
        }
    }
}
