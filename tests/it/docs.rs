//! What is written is true: links lead somewhere, commands parse, keys exist, samples load.

mod commands;
mod keys;
mod links;
pub mod text;

use std::collections::BTreeSet;

use efface::config::{Config, LoadOptions};
use efface::erasure::data_map::DataMap;

#[test]
fn everything_in_the_configuration_folder_loads() {
    let names: BTreeSet<String> = std::fs::read_dir(text::root().join("config"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(names, BTreeSet::from(["data-map.toml", "default.toml"].map(str::to_owned)), "a sample without a test");
    let file = Some(text::root().join("config/default.toml"));
    Config::load(&LoadOptions { file, ..LoadOptions::default() }).unwrap();
    DataMap::parse(&text::read("config/data-map.toml")).unwrap();
}

#[test]
fn operations_lists_every_metric_and_no_other() {
    let mut counted = BTreeSet::new();
    for source in text::files_under("src", "rs") {
        let code = text::read(&source);
        let code = code.split("#[cfg(test)]").next().unwrap();
        for macro_name in ["counter!(", "gauge!(", "histogram!("] {
            for (at, _) in code.match_indices(macro_name) {
                let rest = code[at + macro_name.len()..].trim_start();
                let Some(name) = rest.strip_prefix('"').and_then(|rest| rest.split('"').next()) else { continue };
                counted.insert(name.to_owned());
            }
        }
    }
    assert!(counted.len() > 10, "the metrics are looked for in the wrong way");
    let listed: BTreeSet<String> = text::read("docs/operations.md")
        .lines()
        .filter_map(|line| Some(line.strip_prefix("| `efface_")?.split('`').next()?.to_owned()))
        .map(|name| format!("efface_{name}"))
        .collect();
    assert_eq!(listed, counted);
}
