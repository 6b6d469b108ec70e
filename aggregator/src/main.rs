//! One per cluster: intake -> ledger -> feed. Wiring is in [`coroner_aggregator::app`].

use std::process::ExitCode;

use clap::Parser;
use coroner_aggregator::{app, config::Config};

fn main() -> ExitCode {
    app::main(Config::parse())
}
