//! The command line: one file per command.
//!
//! Data goes to stdout, talk to stderr. Every command is `run(context, args)` and answers an [`Exit`]; errors are told
//! here, once.

mod audit;
mod audited;
mod check;
mod client;
mod completions;
mod config;
mod confirm;
mod context;
mod data_map;
mod demo;
mod exit;
mod export;
mod healthcheck;
mod holds;
mod instant;
mod jobs;
mod keys;
mod migrate;
mod ndjson;
mod output;
mod plan;
mod redact;
mod replay;
mod report;
mod retention;
mod serve;
mod suppression;
mod unseal;
mod verify;
mod webhook;

use std::io;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use context::{Context, Globals};
pub use exit::{Exit, UsageError};

const EXAMPLES: &str = "\
Examples:
  efface demo                       the whole job on sample data
  efface serve                      webhooks in, verified erasures out
  efface check                      does everything fit together?
  efface jobs list --status failed  what needs a person
  efface report --format csv        how the duties stand

Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 not verified";

/// Answers Shopify-style privacy webhooks with verified erasure.
#[derive(Debug, Parser)]
#[command(name = "efface", version, after_help = EXAMPLES, arg_required_else_help = true, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    pub globals: Globals,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Demo(demo::Args),
    Serve(serve::Args),
    Migrate(migrate::Args),
    Check(check::Args),
    Config(config::Args),
    DataMap(data_map::Args),
    Webhook(webhook::Args),
    Jobs(jobs::Args),
    Plan(plan::Args),
    Holds(holds::Args),
    Audit(audit::Args),
    Report(report::Args),
    Retention(retention::Args),
    Export(export::Args),
    Redact(redact::Args),
    Unseal(unseal::Args),
    Replay(replay::Args),
    Suppression(suppression::Args),
    Keys(keys::Args),
    Verify(verify::Args),
    Healthcheck(healthcheck::Args),
    Completions(completions::Args),
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return conclude(Err(error.into())).into(),
    };
    conclude(runtime.block_on(cli.run())).into()
}

impl Cli {
    async fn run(self) -> anyhow::Result<Exit> {
        let context = &Context::new(self.globals);
        match &self.command {
            Command::Demo(args) => demo::run(context, args).await,
            Command::Serve(args) => serve::run(context, args).await,
            Command::Migrate(args) => migrate::run(context, args).await,
            Command::Check(args) => check::run(context, args).await,
            Command::Config(args) => config::run(context, args),
            Command::DataMap(args) => data_map::run(context, args).await,
            Command::Webhook(args) => webhook::run(context, args).await,
            Command::Jobs(args) => jobs::run(context, args).await,
            Command::Plan(args) => plan::run(context, args).await,
            Command::Holds(args) => holds::run(context, args).await,
            Command::Audit(args) => audit::run(context, args).await,
            Command::Report(args) => report::run(context, args).await,
            Command::Retention(args) => retention::run(context, args).await,
            Command::Export(args) => export::run(context, args).await,
            Command::Redact(args) => redact::run(context, args),
            Command::Unseal(args) => unseal::run(context, args).await,
            Command::Replay(args) => replay::run(context, args).await,
            Command::Suppression(args) => suppression::run(context, args).await,
            Command::Keys(args) => keys::run(context, args).await,
            Command::Verify(args) => verify::run(context, args),
            Command::Healthcheck(args) => healthcheck::run(context, args).await,
            Command::Completions(args) => completions::run(args),
        }
    }
}

/// Tells an error on stderr. A reader who went away (`efface jobs list | head`) is none.
fn conclude(result: anyhow::Result<Exit>) -> Exit {
    match result {
        Ok(exit) => exit,
        Err(error) if is_broken_pipe(&error) => Exit::Done,
        Err(error) => {
            output::talk(&format!("efface: {error:#}"));
            Exit::of(&error)
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_and_every_option_has_a_help_text() {
        fn walk(command: &clap::Command) {
            assert!(command.get_about().is_some(), "{} says nothing", command.get_name());
            for arg in command.get_arguments() {
                assert!(arg.get_help().is_some(), "{} of {} says nothing", arg.get_id(), command.get_name());
            }
            command.get_subcommands().for_each(walk);
        }
        let mut command = Cli::command();
        command.build();
        command.get_subcommands().filter(|sub| sub.get_name() != "help").for_each(walk);
    }

    #[test]
    fn the_arguments_never_print_their_secrets() {
        let cli = Cli::try_parse_from([
            "efface",
            "--database-url=postgres://efface:hunter2@db/app",
            "webhook",
            "trigger",
            "--topic=shop/redact",
            "--address=http://localhost",
            "--secret=hunter2",
        ]);
        assert!(!format!("{:?}", cli.unwrap()).contains("hunter2"));
    }
}
