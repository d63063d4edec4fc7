//! Evidence bundles of a large shop: `efface export`, redacted beside unredacted, in turns.
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::efface::{self, Efface, Place};
use crate::report::{self, Report, Wanted, goal, median};
use crate::services::{Need, Services};
use crate::{database, machine};

const DATABASE: &str = "efface_bench_export";
const SHOP: &str = "snowdevil.myshopify.com";
/// What an auditor of one case need not see: who did it, whose shop it was, which delivery, and from where.
const POLICY: &str = r#"version = 1
[[event.audit_entry.rule]]
path = "actorId"
mode = "redact"
[[event.audit_entry.rule]]
path = "shopDomain"
mode = "hash"
[[event.audit_entry.rule]]
path = "metadata.webhookId"
mode = "hash"
[[event.audit_entry.rule]]
path = "ipAddress"
mode = "remove"
"#;

#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// Entries of the shop: two for each job, its beginning and its end.
    #[arg(long, default_value_t = 100_000)]
    events: u64,
    /// Rounds; in each, both have their turn, and the one that begins changes.
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    #[command(flatten)]
    binary: efface::Binary,
    /// Keeps the bundles.
    #[arg(long)]
    keep: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    Whole,
    Redacted,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Turn {
    mode: Mode,
    round: u32,
    seconds: f64,
    bytes: u64,
}

pub async fn bench(arguments: &Arguments) -> anyhow::Result<Report> {
    ensure!(arguments.events > 1 && arguments.events.is_multiple_of(2), "two entries for each job");
    let services = Services::start(Need::Database).await?;
    let turns = measure(arguments, &services).await;
    database::drop(&services.database_url, DATABASE).await?;
    services.stop(arguments.keep || turns.is_err()).await?;
    Ok(summary(arguments, &turns?))
}

async fn measure(arguments: &Arguments, services: &Services) -> anyhow::Result<Vec<Turn>> {
    let efface = Efface::prepare(&arguments.binary, &services.folder).await?;
    let database_url = database::create(&services.database_url, DATABASE, None).await?;
    efface.migrate(&database_url).await?;
    let client = database::connect(&database_url).await?;
    let fill = include_str!("../sql/audit_entries.sql").replace("{events}", &arguments.events.to_string());
    client.batch_execute(&fill.replace("{shop}", SHOP)).await?;
    let house = House { efface: &efface, folder: &services.folder, database_url: &database_url };
    std::fs::write(services.folder.join("policy.toml"), POLICY)?;
    eprintln!("placing and signing {} entries", arguments.events);
    house.export(Mode::Whole, 0).await?;
    client.batch_execute("vacuum (analyze)").await?;
    let mut turns = Vec::new();
    for round in 1..=arguments.rounds {
        let mut order = [Mode::Whole, Mode::Redacted];
        if round % 2 == 0 {
            // Whoever comes second finds warmer caches, if there is any warmth to find.
            order.reverse();
        }
        for mode in order {
            let turn = house.export(mode, round).await?;
            eprintln!(
                "round {round}: {mode:?} {:.2} s (load average {})",
                turn.seconds,
                machine::describe()["loadAverage"]
            );
            turns.push(turn);
        }
    }
    for mode in [Mode::Whole, Mode::Redacted] {
        house.verify(mode, arguments.events).await?;
    }
    Ok(turns)
}

struct House<'a> {
    efface: &'a Efface,
    folder: &'a Path,
    database_url: &'a str,
}

impl House<'_> {
    fn command(&self) -> Command {
        let place = Place { listen: "127.0.0.1:0".to_owned(), database_url: self.database_url, amqp_url: "" };
        self.efface.command(&place)
    }

    async fn export(&self, mode: Mode, round: u32) -> anyhow::Result<Turn> {
        let file = self.folder.join(format!("{mode:?}.zip"));
        let mut command = self.command();
        command.args(["export", "--shop", SHOP, "--without-receipts", "--output"]).arg(&file);
        // Exports are entries themselves: those of the bench stay out of what it measures.
        command.args(["--to", "2026-11-01"]);
        if mode == Mode::Redacted {
            command.arg("--redact").arg(self.folder.join("policy.toml"));
        }
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let started = Instant::now();
        let output = command.output().await.context("`efface export` does not start")?;
        let time: Duration = started.elapsed();
        ensure!(output.status.success(), "`efface export` answered: {}", String::from_utf8_lossy(&output.stderr));
        Ok(Turn { mode, round, seconds: time.as_secs_f64(), bytes: std::fs::metadata(&file)?.len() })
    }

    /// Both must be what they are said to be: all entries, valid, and masked as the policy says.
    async fn verify(&self, mode: Mode, events: u64) -> anyhow::Result<()> {
        let mut command = self.command();
        command.args(["verify", "--json"]).arg(self.folder.join(format!("{mode:?}.zip")));
        let output = command.output().await?;
        let told: Value = serde_json::from_slice(&output.stdout)?;
        let withheld = if mode == Mode::Redacted { events / 2 * 7 } else { 0 };
        ensure!(told["verified"] == true && told["events"] == events, "the bundle is not valid: {told}");
        ensure!(told["withheld"] == withheld, "{} fields are withheld instead of {withheld}", told["withheld"]);
        Ok(())
    }
}

fn summary(arguments: &Arguments, turns: &[Turn]) -> Report {
    let of = |mode: Mode| turns.iter().filter(move |turn| turn.mode == mode);
    let seconds = |mode: Mode| median(of(mode).map(|turn| turn.seconds));
    let (whole, redacted) = (seconds(Mode::Whole), seconds(Mode::Redacted));
    let mut table = report::table(["bundle", "s", "events/s", "MiB", "× whole"]);
    for mode in [Mode::Whole, Mode::Redacted] {
        let bytes = of(mode).map(|turn| turn.bytes).max().unwrap_or_default() as f64;
        table.add_row([
            format!("{mode:?}").to_lowercase(),
            format!("{:.2}", seconds(mode)),
            format!("{:.0}", arguments.events as f64 / seconds(mode)),
            format!("{:.1}", bytes / f64::from(1 << 20)),
            format!("{:.2}", seconds(mode) / whole),
        ]);
    }
    let mut notes = vec![goal("times unredacted", redacted / whole, &Wanted::Below(1.15))];
    notes.extend(machine::cautions());
    let json = json!({
        "bench": "export", "machine": machine::describe(), "events": arguments.events, "secondsWhole": whole,
        "secondsRedacted": redacted, "ratio": redacted / whole, "turns": turns,
    });
    Report { tables: vec![table], notes, json }
}
