//! The agent's executable.

use std::process::ExitCode;

use coroner_agent::{
    app,
    config::{Config, UsageError},
};
use coroner_runtime::logging;
use tracing::error;

fn main() -> ExitCode {
    coroner_sys::give_memory_back();
    let config = match Config::from_args() {
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
    logging::start(config.log_format);
    match run(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let exit_code = failure.downcast_ref().map_or(ExitCode::FAILURE, app::AppError::exit_code);
            error!("{failure:#}");
            exit_code
        }
    }
}

fn run(config: Config) -> anyhow::Result<()> {
    // An agent is no reason to have as many threads as the node has cores.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let end = runtime.block_on(app::run(config));
    // Threads that wait for the kernel are left behind: the process ends now.
    runtime.shutdown_background();
    Ok(end?)
}
