//! SIGTERM and SIGINT: the first asks the program to stop, a second one ends it at once.

use std::{io, time::Duration};

use tokio::{
    select,
    signal::unix::{Signal, SignalKind, signal},
    time::sleep,
};
use tracing::warn;

/// Signals so close together are one: timeout(1), for one, signals its child and then the child's group.
const ONE_SIGNAL: Duration = Duration::from_millis(200);

/// The signals that ask the program to stop. From [`listen`](Self::listen) on, they no longer end it by themselves.
#[derive(Debug)]
pub struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    /// Takes the signals over.
    ///
    /// # Errors
    /// If the operating system refuses the handlers.
    pub fn listen() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for the next signal, and gives its name.
    pub async fn next(&mut self) -> &'static str {
        select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }

    /// After the first signal, while the program stops: the next one ends the process with status 1.
    pub fn end_at_next(self) {
        tokio::spawn(async {
            sleep(ONE_SIGNAL).await;
            drop(self);
            // What came meanwhile belongs to the first.
            let Ok(mut signals) = Self::listen() else { return };
            let signal = signals.next().await;
            warn!(signal, "Asked to stop twice: ending at once");
            std::process::exit(1);
        });
    }
}
