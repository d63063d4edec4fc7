//! Efface as a user runs it: its binary, its environment, its commands.
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use tokio::process::Command;

use crate::process::Process;
use crate::services;

pub const SECRET: &str = "bench-secret-that-guards-nothing";

#[derive(clap::Args, Clone, Debug)]
pub struct Binary {
    /// An `efface` binary; built from this checkout with --release when not given.
    #[arg(long = "efface", value_name = "PATH")]
    path: Option<PathBuf>,
}

#[derive(Debug)]
pub struct Efface {
    binary: PathBuf,
    keys: PathBuf,
    /// Whether it works without its audit log, which only builds with the feature `bench` can.
    is_unlogged: bool,
}

/// Where one process finds the world. Everything else comes from the caller's environment (`EFFACE__JOBS__…`).
#[derive(Debug)]
pub struct Place<'a> {
    pub listen: String,
    pub database_url: &'a str,
    pub amqp_url: &'a str,
}

impl Efface {
    /// Builds or finds the binary, and makes a keys file.
    pub async fn prepare(binary: &Binary, folder: &Path) -> anyhow::Result<Self> {
        let path = match &binary.path {
            Some(path) => path.canonicalize().with_context(|| format!("{} is not there", path.display()))?,
            None => build().await?,
        };
        let efface = Self { binary: path, keys: folder.join("keys.json"), is_unlogged: false };
        if !efface.keys.exists() {
            let mut command = Command::new(&efface.binary);
            command.args(["keys", "generate", "--output"]).arg(&efface.keys).stdout(std::process::Stdio::null());
            ensure!(command.status().await?.success(), "`efface keys generate` failed");
        }
        Ok(efface)
    }

    /// The same keys, in a build that works without its audit log.
    pub async fn without_log(&self, binary: Option<&Path>) -> anyhow::Result<Self> {
        let binary = match binary {
            Some(path) => path.canonicalize().with_context(|| format!("{} is not there", path.display()))?,
            None => build_for_bench().await?,
        };
        Ok(Self { binary, keys: self.keys.clone(), is_unlogged: true })
    }

    pub async fn migrate(&self, database_url: &str) -> anyhow::Result<()> {
        let place = Place { listen: "127.0.0.1:0".to_owned(), database_url, amqp_url: "" };
        let mut command = self.command(&place);
        command.args(["migrate", "up"]).stdout(std::process::Stdio::null());
        ensure!(command.status().await?.success(), "`efface migrate up` failed");
        Ok(())
    }

    pub fn serve(&self, role: &str, place: &Place<'_>, log: &Path) -> anyhow::Result<Process> {
        Process::start(self.command(place).args(["serve", "--role", role]), log)
    }

    /// A command that needs keys and no server.
    pub fn tool(&self) -> Command {
        self.command(&Place { listen: "127.0.0.1:0".to_owned(), database_url: "sqlite::memory:", amqp_url: "" })
    }

    /// A command in that place.
    pub fn command(&self, place: &Place<'_>) -> Command {
        let mut command = Command::new(&self.binary);
        for fallback in ["DATABASE_URL", "AMQP_URL", "RABBITMQ_URL", "CLOUDAMQP_URL", "SHOPIFY_API_SECRET"] {
            command.env_remove(fallback);
        }
        command
            .env("EFFACE__HTTP__LISTEN", &place.listen)
            .env("EFFACE__DATABASE__URL", place.database_url)
            .env("EFFACE__WEBHOOKS__SECRETS", SECRET)
            .env("EFFACE__KEYS__FILE", &self.keys)
            // As the image sets it.
            .env("MALLOC_ARENA_MAX", "1");
        if self.is_unlogged {
            command.env("EFFACE_BENCH_WITHOUT_AUDIT_LOG", "1");
        }
        if !place.amqp_url.is_empty() {
            command.env("EFFACE__BROKER__URL", place.amqp_url);
        }
        // A stray file of the developer's must not configure a bench; /tmp-like folders hold none.
        command.current_dir(self.keys.parent().unwrap_or(Path::new(".")));
        command
    }
}

async fn build() -> anyhow::Result<PathBuf> {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| services::repository().join("target"), PathBuf::from);
    build_in(target, &[]).await
}

/// In a folder of its own: this build must not be taken for a release.
async fn build_for_bench() -> anyhow::Result<PathBuf> {
    build_in(services::repository().join("target/bench-only"), &["--features", "bench"]).await
}

async fn build_in(target: PathBuf, more: &[&str]) -> anyhow::Result<PathBuf> {
    eprintln!("building efface --release {}", more.join(" "));
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["build", "--release", "--package", "efface", "--bin", "efface"]).args(more);
    command.arg("--target-dir").arg(&target).current_dir(services::repository());
    ensure!(command.status().await?.success(), "efface could not be built");
    Ok(target.join("release/efface"))
}
