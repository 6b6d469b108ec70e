//! Work on an OS thread of its own, for what blocks in the kernel.

use std::{io, thread};

use thiserror::Error;
use tokio::sync::oneshot;

use super::caught::Panicked;

/// Why the work on a thread has no outcome.
#[derive(Debug, Error)]
pub enum NoThread {
    /// The operating system gives no thread.
    #[error("no thread for it")]
    Refused(#[source] io::Error),
    /// The work panicked.
    #[error(transparent)]
    Panicked(Panicked),
}

/// Runs `work` on a thread of this name (at most 15 bytes) and waits for its outcome. A thread cannot be aborted: if
/// nothing waits any more, it goes on until `work` ends.
///
/// # Errors
/// If there is no thread, or the work panics.
pub async fn on_thread<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, NoThread> {
    let (sender, outcome) = oneshot::channel();
    let run = move || {
        let _no_receiver = sender.send(Panicked::catch(work));
    };
    thread::Builder::new().name(name.to_owned()).spawn(run).map_err(NoThread::Refused)?;
    match outcome.await {
        Ok(outcome) => outcome.map_err(NoThread::Panicked),
        // The sender is dropped only after it was used.
        Err(_) => std::future::pending().await,
    }
}
