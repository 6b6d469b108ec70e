//! The program: from the command line to its exit code.

use std::process::ExitCode;

use coroner_runtime::{language, logging, signals::StopSignals};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::{
    app::{App, Error, check_exposure},
    config::Config,
    feed::Timing,
    ledger,
};

/// Exit code for a wrong command line.
const USAGE: u8 = 2;
/// Exit code for stored data that cannot be used; `EX_DATAERR` of sysexits.h.
const DATA: u8 = 65;

/// Exit code for a ledger that another process uses; `EX_UNAVAILABLE` of sysexits.h.
const IN_USE: u8 = 69;

/// Free memory that is kept, in each of a few arenas: a push of 500 diagnoses takes some 3 MiB while it is decoded and
/// stored.
const KEPT_BYTES: i32 = 8 << 20;

/// Runs the whole program, up to its exit code.
pub fn main(config: Config) -> ExitCode {
    coroner_sys::keep_freed_memory(KEPT_BYTES);
    logging::start(config.log_format);
    if let Err(error) = check_exposure(&config) {
        tracing::error!("{}", error.text(language()));
        return ExitCode::from(USAGE);
    }
    allow_many_connections();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    exit(runtime.map_err(Error::from).and_then(|runtime| runtime.block_on(run(config))))
}

/// Logs in one line what went wrong, if something did.
pub(crate) fn exit(result: Result<(), Error>) -> ExitCode {
    let Err(error) = result else { return ExitCode::SUCCESS };
    tracing::error!("{}", error.text(language()));
    match error {
        Error::Ledger(ledger::Error::InUse { .. }) => ExitCode::from(IN_USE),
        Error::Ledger(error) if error.is_about_data() => ExitCode::from(DATA),
        _ => ExitCode::FAILURE,
    }
}

/// Runs until SIGTERM or SIGINT, or until a task fails without which it cannot go on; a second signal ends the process
/// at once.
async fn run(config: Config) -> Result<(), Error> {
    let mut signals = StopSignals::listen()?;
    let app = tokio::select! {
        app = App::start(config, Timing::default()) => app?,
        _ = signals.next() => return Ok(()),
    };
    let ended = tokio::select! {
        _ = signals.next() => Ok(()),
        failure = app.failed() => Err(failure),
    };
    signals.end_at_next();
    tracing::info!("Stopping");
    // The writer's error contains more than that it has ended.
    app.stop().await?;
    Ok(ended?)
}

/// Lets the process have as many descriptors as it may: each agent takes one, and 1,024 is a common bound.
fn allow_many_connections() {
    let raised =
        getrlimit(Resource::RLIMIT_NOFILE).and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        tracing::warn!(%error, "Cannot raise the limit of open files");
    }
}
