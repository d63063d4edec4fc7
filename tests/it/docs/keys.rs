//! Configuration keys that documents name, and samples of configuration in them.

use std::collections::BTreeSet;

use efface::config::{DEFAULTS, LoadOptions};
use efface::erasure::data_map::{DataMap, REFERENCE};
use efface::redaction::Policy;

use super::text;

/// Every key, with the twins that read a secret from a file.
fn known() -> BTreeSet<String> {
    let defaults: toml::Table = DEFAULTS.parse().unwrap();
    let mut keys = BTreeSet::from(["stores.<name>.url".to_owned()]);
    for (section, table) in &defaults {
        for (key, value) in table.as_table().unwrap() {
            match value.as_table() {
                None => drop(keys.insert(format!("{section}.{key}"))),
                Some(inner) => keys.extend(inner.keys().map(|last| format!("{section}.{key}.{last}"))),
            }
        }
    }
    for secret in ["database.url", "broker.url", "webhooks.secrets", "auth.tokens", "stores.<name>.url"] {
        assert!(keys.contains(secret), "{secret}");
        keys.insert(format!("{secret}_file"));
    }
    keys
}

/// A dotted name whose first part is a section; file names are none.
fn looks_like_a_key(code: &str, sections: &BTreeSet<&str>) -> bool {
    let Some((section, rest)) = code.split_once('.') else { return false };
    let plain = |c: char| c.is_ascii_lowercase() || matches!(c, '_' | '.' | '<' | '>');
    sections.contains(section)
        && rest.chars().all(plain)
        && !matches!(rest, "rs" | "toml" | "md" | "json" | "pem" | "zip" | "*")
}

#[test]
fn every_key_that_a_document_names_exists() {
    let known = known();
    let sections: BTreeSet<&str> = known.iter().filter_map(|key| key.split('.').next()).collect();
    let (mut unknown, mut seen) = (Vec::new(), 0);
    for document in text::all() {
        // Samples in TOML are loaded, below.
        let blocks = document.blocks.iter().filter(|block| block.language != "toml");
        let blocks = blocks.flat_map(|block| block.code.split_whitespace());
        let named = document.inline_code().into_iter().chain(blocks);
        for code in named.flat_map(|code| code.split([' ', '=', '"'])) {
            let key = match code.strip_prefix("EFFACE__") {
                Some(variable) => variable.trim_end_matches(':').to_lowercase().replace("__", "."),
                None if looks_like_a_key(code, &sections) => code.to_owned(),
                None => continue,
            };
            let key = key.replace("stores.analytics.", "stores.<name>.");
            seen += 1;
            if !known.contains(&key) && key != "section.key" {
                unknown.push(format!("{}: {code}", document.name));
            }
        }
    }
    assert!(seen > 20, "keys are looked for in the wrong way");
    // Configuration shows a misspelt key on purpose, with what the program says to it.
    unknown.retain(|place| place != "docs/configuration.md: http.listn:");
    assert!(unknown.is_empty(), "{unknown:#?}");
}

#[test]
fn every_sample_of_configuration_loads() {
    for document in text::all() {
        for block in document.blocks.iter().filter(|block| block.language == "toml") {
            let place = format!("{}:\n{}", document.name, block.code);
            if block.code.starts_with("# shopify.app.toml") {
                block.code.parse::<toml::Table>().unwrap_or_else(|error| panic!("{place}{error}"));
            } else if block.code.contains("[[rule]]") {
                Policy::parse(&block.code).unwrap_or_else(|problems| panic!("{place}{problems}"));
            } else if block.code.starts_with("version = 1") {
                DataMap::parse(&block.code).unwrap_or_else(|problems| panic!("{place}{problems}"));
            } else if block.code.contains("[[table]]") {
                let map = format!("{REFERENCE}\n{}", block.code);
                DataMap::parse(&map).unwrap_or_else(|problems| panic!("{place}{problems}"));
            } else {
                let folder = tempfile::tempdir().unwrap();
                let file = folder.path().join("efface.toml");
                std::fs::write(&file, &block.code).unwrap();
                let options = LoadOptions { file: Some(file), ..LoadOptions::default() };
                efface::config::Config::load(&options).unwrap_or_else(|problems| panic!("{place}{problems}"));
            }
        }
    }
}
