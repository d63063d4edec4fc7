//! `efface data-map check`: does the map fit the schema as it is today?

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde_json::json;

use super::{Context, Exit, output, unusable, url_of};
use crate::app::data_map::{all_findings, catalog_for, failing};
use crate::app::read_data_map;
use crate::config::Override;
use crate::erasure::check::{FailOn, Finding, Severity};
use crate::store::catalog::open_read_only;

/// Hold the map against the live schema of every store, and list what does not fit
///
/// Changes nothing, and reads no row. Exit code 0 when nothing weighs as much as --fail-on, 1 otherwise: fit for CI.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The map to check; `data_map.file` of the configuration when left out
    #[arg(long, value_name = "FILE")]
    map: Option<PathBuf>,
    /// Fail from this weight on; `data_map.fail_on` of the configuration when left out
    #[arg(long, value_name = "WEIGHT", value_parser = fail_on())]
    fail_on: Option<FailOn>,
}

fn fail_on() -> impl TypedValueParser<Value = FailOn> {
    PossibleValuesParser::new(FailOn::NAMES).map(|text| FailOn::parse(&text).unwrap_or_default())
}

/// The map of `--map`, as if the configuration named it.
pub(super) fn map_flag(map: Option<&PathBuf>) -> Vec<Override> {
    map.map(|file| Override { key: "data_map.file", flag: "--map", value: file.display().to_string() })
        .into_iter()
        .collect()
}

pub async fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    let config = context.config(map_flag(args.map.as_ref()))?;
    let map = read_data_map(&config)?;
    let mut found = Vec::new();
    for part in &map.stores {
        let (url, masked) = url_of(&config, &part.name)?;
        let conn = open_read_only(url).await.map_err(unusable(masked.clone()))?;
        let catalog = catalog_for(&conn, part).await.map_err(unusable(masked))?;
        found.extend(all_findings(&config, part, &catalog));
    }
    let fails = !failing(args.fail_on.unwrap_or(config.data_map.fail_on), &found).is_empty();
    if context.json() {
        let counts: serde_json::Map<_, _> = Severity::ALL
            .iter()
            .map(|severity| (severity.as_str().to_owned(), json!(count(&found, *severity))))
            .collect();
        output::json(&json!({ "findings": found, "counts": counts, "failed": fails }))?;
    } else {
        print(&found, map.stores.len() > 1)?;
    }
    Ok(if fails { Exit::Failed } else { Exit::Done })
}

fn count(found: &[Finding], severity: Severity) -> usize {
    found.iter().filter(|finding| finding.severity == severity).count()
}

/// By table, with the counts at the end.
fn print(found: &[Finding], several: bool) -> anyhow::Result<()> {
    let mut before = None;
    for finding in found {
        let table = (&finding.store, &finding.table);
        if before != Some(table) {
            let store = if several { format!("{}: ", finding.store) } else { String::new() };
            output::raw(&format!("{store}{}\n", finding.table))?;
            before = Some(table);
        }
        let column = finding.column.as_ref().map_or(String::new(), |column| format!("{column}: "));
        output::raw(&format!(
            "  {:<8} {:<18} {column}{}\n",
            finding.severity.as_str(),
            finding.id.as_str(),
            finding.sentence
        ))?;
        if let Some(remedy) = &finding.remedy {
            output::raw(&format!("  {:27} -> {remedy}\n", ""))?;
        }
    }
    let counts = Severity::ALL.map(|severity| format!("{} {}", count(found, severity), plural(severity)));
    output::raw(&format!("{}\n", counts.join(", ")))?;
    Ok(())
}

fn plural(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error(s)",
        Severity::Warning => "warning(s)",
        Severity::Info => "note(s)",
    }
}
