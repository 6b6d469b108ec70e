//! One per cluster: intake -> ledger -> feed. Wiring is in [`coroner_aggregator::app`].

use std::process::ExitCode;

use coroner_aggregator::{command::CommandLine, program};
use coroner_runtime::language;

fn main() -> ExitCode {
    let language = language();
    let CommandLine { command, config } = match CommandLine::from_args(language) {
        Ok(read) => read,
        Err(stop) => return stop.print("coroner-aggregator", language),
    };
    command.map_or_else(|| program::main(config), |command| command.main())
}
