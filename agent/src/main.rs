//! The agent's executable.

use std::{
    io::{IsTerminal, stderr},
    process::ExitCode,
};

use coroner_agent::{
    app,
    config::{Config, LogFormat, UsageError},
};
use tracing::error;
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

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
    log_to_stderr(config.log_format);
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

fn log_to_stderr(format: LogFormat) {
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).from_env_lossy();
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(stderr);
    match format {
        LogFormat::Text => logs.with_ansi(stderr().is_terminal()).with_target(false).init(),
        LogFormat::Json => logs.json().init(),
    }
}
