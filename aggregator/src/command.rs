//! What the program does beside running: backup and restore of its ledger.

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

use coroner_runtime::logging;

use crate::{config::Config, ledger, program};

/// Stores what the agents report, and serves it to readers.
#[derive(Clone, Debug, Parser)]
#[command(name = "coroner-aggregator", version, args_conflicts_with_subcommands = true)]
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
    /// Copy the ledger as it is now, while the aggregator runs
    Backup {
        /// The aggregator's ledger
        #[arg(long, env = "CORONER_LEDGER", value_name = "PATH", default_value = "/var/lib/coroner/ledger.db")]
        ledger: PathBuf,
        /// The file to make
        #[arg(long, value_name = "PATH")]
        to: PathBuf,
        /// Replace that file if it is there already
        #[arg(long)]
        force: bool,
    },
    /// Put a copy of a backup into the ledger's place, while no aggregator runs; what is there is kept beside it
    Restore {
        /// The backup
        #[arg(long, value_name = "PATH")]
        from: PathBuf,
        /// The aggregator's ledger
        #[arg(long, env = "CORONER_LEDGER", value_name = "PATH", default_value = "/var/lib/coroner/ledger.db")]
        ledger: PathBuf,
    },
}

impl Command {
    /// Runs the whole program, up to its exit code.
    pub fn main(self) -> ExitCode {
        logging::start(logging::Format::Text);
        program::exit(self.run().map_err(anyhow::Error::from))
    }

    fn run(self) -> Result<(), ledger::Error> {
        match self {
            Self::Backup { ledger, to, force } => {
                let last = ledger::backup(&ledger, &to, force)?;
                tracing::info!("{} holds all records of {} up to number {last}", to.display(), ledger.display());
            }
            Self::Restore { from, ledger } => match ledger::restore(&from, &ledger)? {
                Some(aside) => {
                    tracing::info!("{} is as in the backup now; what it was is {}", ledger.display(), aside.display());
                }
                None => tracing::info!("{} is as in the backup now", ledger.display()),
            },
        }
        Ok(())
    }
}
