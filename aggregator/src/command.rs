//! What the program does beside running: backup and restore of its ledger.

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

use coroner_diagnosis::messages::Language;
use coroner_runtime::{
    logging,
    usage::{self, Stop},
    version::version,
};

use crate::{config::Config, ledger, messages::CHINESE, program};

/// Stores the diagnoses that agents push, and serves them to readers
#[derive(Clone, Debug, Parser)]
#[command(name = "coroner-aggregator", version = version(), args_conflicts_with_subcommands = true)]
pub struct CommandLine {
    /// The subcommand; `None` to run the aggregator.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// How the aggregator is to run.
    #[command(flatten)]
    pub config: Config,
}

/// What to do with a ledger, and then end.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Copy the ledger to a file; the aggregator may be running
    Backup {
        /// The aggregator's ledger
        #[arg(long, env = "CORONER_LEDGER", value_name = "FILE", default_value = "/var/lib/coroner/ledger.db")]
        ledger: PathBuf,
        /// The backup file to write
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
        /// Overwrite an existing backup file
        #[arg(long)]
        force: bool,
    },
    /// Replace the ledger by a backup; no aggregator may be running, and the previous ledger is kept beside it
    Restore {
        /// The backup
        #[arg(long, value_name = "FILE")]
        from: PathBuf,
        /// The aggregator's ledger
        #[arg(long, env = "CORONER_LEDGER", value_name = "FILE", default_value = "/var/lib/coroner/ledger.db")]
        ledger: PathBuf,
    },
}

impl CommandLine {
    /// Reads the command line of this process and its environment.
    ///
    /// # Errors
    /// If it is not valid, or help was asked for.
    pub fn from_args(language: Language) -> Result<Self, Stop> {
        usage::parse(&CHINESE, &std::env::args_os().collect::<Vec<_>>(), language)
    }
}

impl Command {
    /// Runs the whole program, up to its exit code.
    pub fn main(self) -> ExitCode {
        logging::start(logging::Format::Text);
        program::exit(self.run().map_err(Into::into))
    }

    fn run(self) -> Result<(), ledger::Error> {
        match self {
            Self::Backup { ledger, to, force } => {
                let last = ledger::backup(&ledger, &to, force)?;
                tracing::info!("{} contains all records of {} up to number {last}", to.display(), ledger.display());
            }
            Self::Restore { from, ledger } => match ledger::restore(&from, &ledger)? {
                Some(aside) => {
                    tracing::info!("{} was restored; the previous ledger is {}", ledger.display(), aside.display());
                }
                None => tracing::info!("{} was restored", ledger.display()),
            },
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn every_command_and_argument_has_its_help_in_chinese() {
        assert_eq!(CHINESE.faults(&CommandLine::command()), Vec::<String>::new());
    }
}
