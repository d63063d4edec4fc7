//! `[log]`: what is logged, and how.

use crate::telemetry::{Filter, Format};

use super::reader::Reader;

/// The form and the amount of logging.
#[derive(Clone, Debug)]
pub struct Log {
    pub format: Format,
    pub filter: Filter,
}

impl Log {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let format = reader.text_as("log.format", "one of auto, text, json", |text| match text {
            "auto" => Some(Format::Auto),
            "text" => Some(Format::Text),
            "json" => Some(Format::Json),
            _ => None,
        });
        let filter = reader.text_as(
            "log.filter",
            "a level (error, warn, info, debug, trace, off) or a list such as warn,efface::job=debug",
            |text| Filter::parse(text).ok(),
        );
        Self { format: format.unwrap_or_default(), filter: filter.unwrap_or_default() }
    }
}
