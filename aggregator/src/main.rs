//! One per cluster: intake -> ledger -> feed. Wiring is in [`coroner_aggregator::app`].

use std::process::ExitCode;

use clap::Parser;
use coroner_aggregator::{command::CommandLine, program};

fn main() -> ExitCode {
    let CommandLine { command, config } = CommandLine::parse();
    command.map_or_else(|| program::main(config), |command| command.main())
}
