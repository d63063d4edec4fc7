//! What every command is given: the global options, and the configuration they lead to.

use std::path::PathBuf;

use tracing::level_filters::LevelFilter;

use super::UsageError;
use crate::config::{Config, ConfigErrors, LoadOptions, Origin, Override, Secret, process_environment};
use crate::telemetry::{self, Filter, Format};

/// Options that every command takes.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
pub struct Globals {
    /// Configuration file (TOML); also `EFFACE_CONFIG`. See `efface config print`
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Efface's database, sqlite://… or postgres://…; overrides the configuration
    #[arg(long, global = true, value_name = "URL")]
    pub database_url: Option<Secret>,
    /// Print data as JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// Log less: -q errors only, -qq nothing
    #[arg(short, long, global = true, action = clap::ArgAction::Count, conflicts_with = "verbose")]
    pub quiet: u8,
    /// Log more: -v debug, -vv everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// Hands commands their configuration and starts the log as it says.
#[derive(Debug)]
pub struct Context {
    globals: Globals,
}

impl Context {
    pub(super) fn new(globals: Globals) -> Self {
        Self { globals }
    }

    /// Whether data is printed as JSON.
    pub fn json(&self) -> bool {
        self.globals.json
    }

    /// The configuration of a command that does one thing and ends: it logs warnings only, unless `log.filter` or `-v`
    /// asks for more.
    ///
    /// # Errors
    /// Every problem of the configuration.
    pub fn config(&self, flags: Vec<Override>) -> Result<Config, ConfigErrors> {
        let config = self.load(flags)?;
        if config.origin("log.filter") == Some(&Origin::Default) {
            telemetry::start(config.log.format, &Filter::level(LevelFilter::WARN));
        } else {
            telemetry::start(config.log.format, &config.log.filter);
        }
        Ok(config)
    }

    /// The configuration of a command that stays up: it logs as `log.filter` says.
    ///
    /// # Errors
    /// Every problem of the configuration.
    pub fn service_config(&self, flags: Vec<Override>) -> Result<Config, ConfigErrors> {
        let config = self.load(flags)?;
        telemetry::start(config.log.format, &config.log.filter);
        Ok(config)
    }

    /// Refuses the options that lead to a configuration, for a command that must not be led anywhere.
    ///
    /// # Errors
    /// When `--config` or `--database-url` is given.
    pub fn refuse_configuration(&self, because: &str) -> Result<(), UsageError> {
        let given = match (&self.globals.config, &self.globals.database_url) {
            (Some(_), _) => "--config",
            (None, Some(_)) => "--database-url",
            (None, None) => return Ok(()),
        };
        Err(UsageError(format!("{given} has no effect here: {because}")))
    }

    /// Starts the log of a command that needs no configuration.
    pub fn log_without_config(&self) {
        let level = self.level().map_or(Ok(LevelFilter::WARN), str::parse).unwrap_or(LevelFilter::WARN);
        telemetry::start(Format::Auto, &Filter::level(level));
    }

    fn load(&self, mut flags: Vec<Override>) -> Result<Config, ConfigErrors> {
        if let Some(url) = &self.globals.database_url {
            flags.push(Override { key: "database.url", flag: "--database-url", value: url.expose().to_owned() });
        }
        if let Some(level) = self.level() {
            let flag = if self.globals.quiet > 0 { "--quiet" } else { "--verbose" };
            flags.push(Override { key: "log.filter", flag, value: level.to_owned() });
        }
        Config::load(&LoadOptions { file: self.globals.config.clone(), env: process_environment(), overrides: flags })
    }

    fn level(&self) -> Option<&'static str> {
        match (self.globals.quiet, self.globals.verbose) {
            (0, 0) => None,
            (0, 1) => Some("debug"),
            (0, _) => Some("trace"),
            (1, _) => Some("error"),
            (_, _) => Some("off"),
        }
    }
}
