//! A private PostgreSQL and RabbitMQ for one bench, in a folder of its own, through `scripts/services`; or those that
//! `EFFACE_BENCH_DATABASE_URL` and `EFFACE_BENCH_AMQP_URL` name.
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use tokio::process::Command;

#[derive(Debug)]
pub struct Services {
    pub database_url: String,
    /// Empty when the bench needs no broker.
    pub amqp_url: String,
    /// Scratch space of the bench: logs, keys, server data.
    pub folder: PathBuf,
    /// False when somebody else started them.
    pub own: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    Database,
    DatabaseAndBroker,
}

impl Services {
    pub async fn start(need: Need) -> anyhow::Result<Self> {
        let folder = std::env::temp_dir().join(format!("efface-bench-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let given = |name: &str| std::env::var(name).unwrap_or_default();
        let (database_url, amqp_url) = (given("EFFACE_BENCH_DATABASE_URL"), given("EFFACE_BENCH_AMQP_URL"));
        if !database_url.is_empty() && (need == Need::Database || !amqp_url.is_empty()) {
            return Ok(Self { database_url, amqp_url, folder, own: false });
        }
        eprintln!("starting services in {}", folder.display());
        let mut command = script();
        command.arg("start").arg(&folder);
        if need == Need::Database {
            command.arg("postgres");
        }
        let output = command.stderr(std::process::Stdio::inherit()).output().await.context("scripts/services")?;
        ensure!(output.status.success(), "scripts/services could not start what the bench needs");
        let text = String::from_utf8(output.stdout)?;
        let variable = |name: &str| {
            let value =
                text.lines().find_map(|line| line.strip_prefix("export ")?.strip_prefix(name)?.strip_prefix('='));
            value.map(|value| value.trim_matches('\'').to_owned()).unwrap_or_default()
        };
        let services =
            Self { database_url: variable("DATABASE_URL"), amqp_url: variable("AMQP_URL"), folder, own: true };
        ensure!(!services.database_url.is_empty(), "scripts/services named no DATABASE_URL");
        Ok(services)
    }

    /// Stops what was started and removes the folder; `keep` spares it, but for the servers' data, which can be gigabytes.
    pub async fn stop(self, keep: bool) -> anyhow::Result<()> {
        if self.own {
            script().arg("stop").arg(&self.folder).status().await?;
            for data in ["postgres", "rabbitmq"].map(|name| self.folder.join(name)) {
                if data.is_dir() {
                    std::fs::remove_dir_all(data)?;
                }
            }
        }
        if keep {
            eprintln!("logs are in {}", self.folder.display());
        } else {
            std::fs::remove_dir_all(&self.folder)?;
        }
        Ok(())
    }

    pub fn log(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.log"))
    }
}

fn script() -> Command {
    Command::new(repository().join("scripts/services"))
}

/// The repository's folder: benches run from a checkout only.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}
