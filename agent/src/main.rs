//! The agent's executable.

use std::{
    os::unix::process::CommandExt,
    process::{self, ExitCode},
};

use coroner_agent::{
    app::{self, End},
    clock,
    config::{Command, UsageError},
    record,
};
use coroner_diagnosis::messages::{Language, text};
use coroner_runtime::logging::{self, locale};
use tracing::error;

fn main() -> ExitCode {
    coroner_sys::give_memory_back();
    let command = match Command::from_args() {
        Ok(config) => config,
        Err(UsageError::Help(text)) => {
            print!("{text}");
            return ExitCode::SUCCESS;
        }
        Err(UsageError::Bad(line)) => {
            eprintln!("coroner-agent: {line}");
            return 2.into();
        }
    };
    match run(command) {
        Ok(End::Asked) => ExitCode::SUCCESS,
        Ok(End::ClockSetBack) => {
            let error = start_over();
            error!("cannot start again after the clock was set back: {error}");
            ExitCode::FAILURE
        }
        Err(failure) => {
            let known = failure.downcast_ref::<app::AppError>();
            let exit_code = known.map_or(ExitCode::FAILURE, app::AppError::exit_code);
            match known.and_then(app::AppError::message) {
                Some(message) => error!("{}", text(&message, Language::of_locale(locale()))),
                None => error!("{failure:#}"),
            }
            exit_code
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

fn run(command: Command) -> anyhow::Result<End> {
    logging::start(match &command {
        Command::Run(config) => config.log_format,
        Command::Record(_) => logging::Format::Text,
    });
    // An agent is no reason to have as many threads as the node has cores.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let end = match command {
        Command::Run(config) => runtime.block_on(app::run(*config)).map_err(anyhow::Error::from),
        Command::Record(config) => {
            runtime.block_on(record::run(*config, std::io::stdout())).map(|()| End::Asked).map_err(Into::into)
        }
    };
    // Threads that wait for the kernel are left behind: the process ends now.
    runtime.shutdown_background();
    end
}
