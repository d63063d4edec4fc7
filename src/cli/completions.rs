//! `efface completions`: Tab in the shell.

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::{Cli, Exit, output};

const EXAMPLES: &str = "\
Examples:
  efface completions bash > /etc/bash_completion.d/efface
  efface completions fish > ~/.config/fish/completions/efface.fish";

/// Print a completion script for a shell
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Which shell
    #[arg(value_enum)]
    shell: Shell,
}

pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "efface", &mut script);
    output::raw(&String::from_utf8(script)?)?;
    Ok(Exit::Done)
}
