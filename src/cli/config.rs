//! `efface config`: what is in force, and who said so.

use std::fmt::Write as _;

use clap::Subcommand;
use serde_json::{Map, Value, json};

use super::{Context, Exit, output};
use crate::config::Effective;

const EXAMPLES: &str = "\
Examples:
  efface config print --origins
  efface config print --json | jq .jobs";

/// Show the configuration
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print every key in force as TOML, secrets as ***
    Print {
        /// Say where each value came from
        #[arg(long)]
        origins: bool,
    },
}

pub fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    let Action::Print { origins } = args.action;
    let config = context.config(Vec::new())?;
    if context.json() {
        output::json(&nested(config.effective(), origins))?;
    } else {
        output::raw(&toml_text(config.effective(), origins)?)?;
    }
    Ok(Exit::Done)
}

/// The keys as a tree; with origins, each leaf is `{ "value": …, "origin": … }`.
fn nested(effective: &[Effective], origins: bool) -> Value {
    let mut root = Map::new();
    for Effective { key, value, origin } in effective {
        let leaf = if origins { json!({ "value": value, "origin": origin.to_string() }) } else { value.clone() };
        insert(&mut root, key, leaf);
    }
    Value::Object(root)
}

fn insert(table: &mut Map<String, Value>, key: &str, leaf: Value) {
    match key.split_once('.') {
        None => {
            table.insert(key.to_owned(), leaf);
        }
        Some((section, rest)) => {
            if let Value::Object(inner) = table.entry(section).or_insert_with(|| json!({})) {
                insert(inner, rest, leaf);
            }
        }
    }
}

fn toml_text(effective: &[Effective], origins: bool) -> anyhow::Result<String> {
    let mut text = String::new();
    let mut current = "";
    for Effective { key, value, origin } in effective {
        let (section, name) = key.rsplit_once('.').unwrap_or(("", key));
        if section != current {
            let gap = if current.is_empty() { "" } else { "\n" };
            writeln!(text, "{gap}[{section}]")?;
            current = section;
        }
        write!(text, "{name} = {}", toml::Value::try_from(value)?)?;
        if origins {
            write!(text, "  # {origin}")?;
        }
        text.push('\n');
    }
    Ok(text)
}
