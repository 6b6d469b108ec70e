//! The program `coroner`; called as `kubectl-coroner`, a plugin of kubectl.

use std::process::ExitCode;

fn main() -> ExitCode {
    coroner_cli::run(std::env::args_os())
}
