//! What a bench hands back: tables for people, JSON for programs.
use comfy_table::{CellAlignment, Table, presets};
use serde_json::Value;

#[derive(Debug)]
pub struct Report {
    pub tables: Vec<Table>,
    /// Goals and cautions, one sentence each.
    pub notes: Vec<String>,
    pub json: Value,
}

impl Report {
    pub fn text(&self) -> String {
        let tables = self.tables.iter().map(ToString::to_string);
        tables.chain(self.notes.iter().cloned()).collect::<Vec<_>>().join("\n")
    }
}

/// A table whose first column is text and whose others are figures.
pub fn table<const COLUMNS: usize>(header: [&str; COLUMNS]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY).set_header(header);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// The middle one of an odd number of values, the mean of the two in the middle otherwise; zero when there is none.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => 0.0,
        odd if odd % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

/// "met" or "missed", with both figures: a goal is told, never asserted.
pub fn goal(what: &str, measured: f64, wanted: &Wanted) -> String {
    let (met, sign, bound) = match *wanted {
        Wanted::AtLeast(bound) => (measured >= bound, "≥", bound),
        Wanted::Below(bound) => (measured < bound, "<", bound),
    };
    format!("{} {what}: {measured:.3} (goal {sign} {bound})", if met { "met   " } else { "missed" })
}

#[derive(Debug)]
pub enum Wanted {
    AtLeast(f64),
    Below(f64),
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn the_median_is_the_middle_value() {
        assert!((median([3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!((median([4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < f64::EPSILON);
        assert!(median([]).abs() < f64::EPSILON);
    }
}
