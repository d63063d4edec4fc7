//! Masks per second: `efface redact` over a file of orders, once for each mode, beside a policy that matches nothing and
//! so tells what reading and writing cost.
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::ValueEnum;
use serde::Serialize;
use serde_json::json;

use crate::efface::{self, Efface};
use crate::machine;
use crate::report::{self, Report, median};

const SHOP: &str = "snowdevil.myshopify.com";
const EVENT: &str = "orders/create";
/// What the policy masks in each document: two fields of the customer, two of each line item.
const PATHS: [&str; 4] = ["customer.email", "customer.phone", "line_items[*].email", "line_items[*].name"];
const LINE_ITEMS: u64 = 4;
const FIELDS_PER_DOCUMENT: u64 = 2 + 2 * LINE_ITEMS;

#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// Modes; `nothing` is the measure that the others are held against.
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["nothing", "redact", "hash", "salted", "encrypt", "remove"])]
    only: Vec<Mode>,
    /// Orders in the file, of about a kilobyte each, with ten masked fields.
    #[arg(long, default_value_t = 100_000)]
    documents: u64,
    /// Rounds; in each, every mode has its turn.
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    #[command(flatten)]
    binary: efface::Binary,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// A rule whose path is in no document
    Nothing,
    Redact,
    Hash,
    /// `hash` with a salt
    Salted,
    Encrypt,
    Remove,
}

impl Mode {
    fn policy(self) -> String {
        let mode = match self {
            Self::Nothing | Self::Redact => "mode = \"redact\"",
            Self::Hash => "mode = \"hash\"",
            Self::Salted => "mode = \"hash\"\nsalt = \"pepper\"",
            Self::Encrypt => "mode = \"encrypt\"",
            Self::Remove => "mode = \"remove\"",
        };
        let paths: &[&str] = if self == Self::Nothing { &["customer.fax"] } else { &PATHS };
        let rules = paths.iter().map(|path| format!("[[rule]]\npath = \"{path}\"\n{mode}\n"));
        std::iter::once("version = 1\n".to_owned()).chain(rules).collect()
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Turn {
    mode: Mode,
    round: u32,
    seconds: f64,
}

pub async fn bench(arguments: &Arguments) -> anyhow::Result<Report> {
    let folder = std::env::temp_dir().join(format!("efface-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let measured = measure(arguments, &folder).await;
    std::fs::remove_dir_all(&folder)?;
    let (bytes, turns) = measured?;
    Ok(summary(arguments, bytes, &turns))
}

async fn measure(arguments: &Arguments, folder: &Path) -> anyhow::Result<(u64, Vec<Turn>)> {
    let efface = Efface::prepare(&arguments.binary, folder).await?;
    let file = folder.join("orders.ndjson");
    write_orders(&file, arguments.documents)?;
    for mode in &arguments.only {
        std::fs::write(folder.join(format!("{mode:?}.toml")), mode.policy())?;
    }
    let mut turns = Vec::new();
    for round in 0..arguments.rounds {
        for &mode in &arguments.only {
            let seconds = redact(&efface, folder, mode, &file, arguments.documents).await?.as_secs_f64();
            turns.push(Turn { mode, round, seconds });
        }
    }
    Ok((std::fs::metadata(&file)?.len(), turns))
}

/// One pass over the file. Fails when another number of fields was masked than there are.
async fn redact(efface: &Efface, folder: &Path, mode: Mode, file: &Path, documents: u64) -> anyhow::Result<Duration> {
    let mut command = efface.tool();
    command.args(["redact", "--event", EVENT, "--shop", SHOP, "--policy"]).arg(folder.join(format!("{mode:?}.toml")));
    command.stdin(File::open(file)?).stdout(Stdio::null()).stderr(Stdio::piped());
    let started = Instant::now();
    let output = command.output().await.context("`efface redact` does not start")?;
    let time = started.elapsed();
    let talk = String::from_utf8_lossy(&output.stderr);
    let count = if mode == Mode::Nothing { 0 } else { documents * FIELDS_PER_DOCUMENT };
    let counted = |word: &str| talk.contains(&format!("{word}: {count}"));
    let right = match mode {
        Mode::Nothing | Mode::Redact => counted("redacted"),
        Mode::Hash | Mode::Salted => counted("hashed"),
        Mode::Encrypt => counted("encrypted"),
        Mode::Remove => counted("removed"),
    };
    ensure!(output.status.success() && right, "`efface redact` answered: {talk}");
    Ok(time)
}

fn write_orders(file: &Path, documents: u64) -> anyhow::Result<()> {
    let mut file = BufWriter::new(File::create(file)?);
    for number in 0..documents {
        let items: Vec<_> = (0..LINE_ITEMS)
            .map(|item| {
                json!({
                    "id": 6_000_000_000_000 + number * LINE_ITEMS + item, "sku": format!("SNOW-{item}"), "quantity": 1,
                    "price": "19.90", "name": format!("Gift for person {number} {item}"),
                    "email": format!("person-{number}-{item}@example.com"), "taxable": true, "grams": 250,
                })
            })
            .collect();
        let order = json!({
            "id": 5_000_000_000_000 + number, "created_at": "2026-11-01T12:00:00Z", "currency": "EUR", "total_price": "79.60",
            "customer": { "id": number, "email": format!("customer-{number}@example.com"), "phone": format!("+49{number:010}") },
            "line_items": items, "shipping": { "country": "DE", "method": "express" }, "test": false,
        });
        serde_json::to_writer(&mut file, &order)?;
        file.write_all(b"\n")?;
    }
    Ok(file.flush()?)
}

fn summary(arguments: &Arguments, bytes: u64, turns: &[Turn]) -> Report {
    let seconds = |mode: Mode| median(turns.iter().filter(|turn| turn.mode == mode).map(|turn| turn.seconds));
    let (documents, base) = (arguments.documents as f64, seconds(Mode::Nothing));
    let fields = documents * FIELDS_PER_DOCUMENT as f64;
    let mut table = report::table(["mode", "documents/s", "MiB/s", "fields/s", "ns per field", "× nothing"]);
    let mut modes = Vec::new();
    for &mode in &arguments.only {
        let time = seconds(mode);
        let masked = if mode == Mode::Nothing { 0.0 } else { fields };
        // What the masks alone cost: the time beyond that of reading and writing.
        let nanos = if masked > 0.0 && base > 0.0 { (time - base) * 1e9 / masked } else { 0.0 };
        let ratio = if base > 0.0 { time / base } else { 0.0 };
        let mebibytes = bytes as f64 / f64::from(1 << 20) / time;
        table.add_row([
            format!("{mode:?}").to_lowercase(),
            format!("{:.0}", documents / time),
            format!("{mebibytes:.1}"),
            format!("{:.0}", masked / time),
            format!("{nanos:.0}"),
            format!("{ratio:.2}"),
        ]);
        modes.push(json!({
            "mode": mode, "documentsPerSecond": documents / time, "mebibytesPerSecond": mebibytes,
            "fieldsPerSecond": masked / time, "nanosPerField": nanos, "ratioToNothing": ratio,
        }));
    }
    Report {
        tables: vec![table],
        notes: machine::cautions(),
        json: json!({
            "bench": "redact", "machine": machine::describe(), "documents": arguments.documents, "bytes": bytes,
            "fieldsPerDocument": FIELDS_PER_DOCUMENT, "modes": modes, "turns": turns,
        }),
    }
}
