//! The agent's executable.

use std::{
    os::unix::process::CommandExt,
    process::{self, ExitCode},
};

use coroner_agent::{
    app::{self, AppError, End},
    clock,
    config::Command,
    record,
};
use coroner_runtime::{language, logging};
use tracing::error;

fn main() -> ExitCode {
    coroner_sys::give_memory_back();
    let language = language();
    let command = match Command::from_args(language) {
        Ok(command) => command,
        Err(stop) => return stop.print("coroner-agent", language),
    };
    match run(command) {
        Ok(End::Asked) => ExitCode::SUCCESS,
        Ok(End::ClockSetBack) => {
            let error = start_over();
            error!("cannot start again after the clock was set back: {error}");
            ExitCode::FAILURE
        }
        Err(failure) => {
            error!("{}", failure.text(language));
            failure.exit_code()
        }
    }
}

/// The same program in this process, with nothing that this one knew. Returns only if that fails.
fn start_over() -> std::io::Error {
    // By its own name, which the kernel logs.
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(error) => return error,
    };
    let (variable, value) = clock::starting_over();
    process::Command::new(program).args(std::env::args_os().skip(1)).env(variable, value).exec()
}

fn run(command: Command) -> Result<End, AppError> {
    logging::start(match &command {
        Command::Run(config) => config.log_format,
        Command::Record(_) => logging::Format::Text,
    });
    // What is read by blocking calls has threads of its own. What is left is less work than one thread does, and
    // several would wake each other.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let end = match command {
        Command::Run(config) => runtime.block_on(app::run(*config)),
        Command::Record(config) => {
            let recorded = runtime.block_on(record::run(*config, std::io::stdout()));
            recorded.map(|()| End::Asked).map_err(|error| AppError::of_recording(&error))
        }
    };
    // Threads that wait for the kernel are left behind: the process ends now.
    runtime.shutdown_background();
    end
}
