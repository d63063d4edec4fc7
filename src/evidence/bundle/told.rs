//! What a bundle tells of its entries, written while they come: of a large shop only the texts are kept in memory.

use std::collections::BTreeMap;

use super::event::Event;
use super::report;

/// The entries of a bundle, as the files of the bundle hold them.
#[derive(Debug, Default)]
pub struct Told {
    /// `events.ndjson`.
    pub(super) lines: String,
    /// The rows of `report.html`.
    pub(super) rows: String,
    /// How many fields are withheld.
    pub(super) withheld: u64,
    indices: Vec<u64>,
    ends: BTreeMap<String, u64>,
}

impl Told {
    /// Adds an entry, whose place is behind those of all before.
    pub fn add(&mut self, event: &Event) {
        event.write_line(&mut self.lines);
        report::write_row(event, &mut self.rows);
        self.withheld += event.withheld() as u64;
        self.indices.push(event.index);
        if let Some(job) = ended(event) {
            self.ends.insert(job.to_owned(), event.index);
        }
    }

    /// The entries' places, in order.
    pub fn indices(&self) -> &[u64] {
        &self.indices
    }

    /// The place of the entry that ends each job.
    pub fn ends(&self) -> &BTreeMap<String, u64> {
        &self.ends
    }
}

impl<'e> FromIterator<&'e Event> for Told {
    fn from_iter<T: IntoIterator<Item = &'e Event>>(events: T) -> Self {
        let mut told = Self::default();
        events.into_iter().for_each(|event| told.add(event));
        told
    }
}

/// The job that an entry ends.
fn ended(event: &Event) -> Option<&str> {
    let is_end = event.is_of_job()
        && (event.value("metadata.outcome").is_some() && event.text("action") != Some("create")
            || event.text("metadata.status") == Some("cancelled"));
    event.text("resourceId").filter(|_| is_end)
}
