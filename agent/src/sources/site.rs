//! Where sources are started: each runs as a task under supervision.
//!
//! A source whose task panics or ends is degraded at once, and what it may have lost is a gap: what it would have seen
//! must not pass for what did not happen. Then it is run again. What its interface does (a socket that is not there, a
//! daemon that restarts) is the source's own business, and no end of its task.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use coroner_diagnosis::{
    messages::health,
    observation::{Observation, Reason, Source},
};
use coroner_runtime::{
    error::chain,
    tasks::{Ending, Group, Need, NoThread, Panicked, caught},
};
use thiserror::Error;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    outlet::Outlet,
    readers::Readers,
    worker::{self, End, Worker},
};

/// The group that runs the sources, and the channel that takes what they see.
#[derive(Clone, Debug)]
pub struct Site {
    group: Group,
    sender: mpsc::Sender<Observation>,
    readers: Readers,
}

/// Why a source's task ended.
#[derive(Debug, Error)]
enum Fall {
    #[error("it ended")]
    Ended,
    #[error("{0}")]
    Failed(String),
    #[error(transparent)]
    Panicked(Panicked),
}

impl Fall {
    fn reason(&self) -> Reason {
        Reason::from(match self {
            Self::Ended => health::health_restarted_ended(),
            Self::Failed(error) => health::health_restarted(error),
            Self::Panicked(panicked) => health::health_restarted_panicked(panicked.message()),
        })
    }
}

impl Site {
    /// Sources in this group, which send into this channel.
    pub fn new(group: Group, sender: mpsc::Sender<Observation>) -> Self {
        Self { group, sender, readers: Readers::default() }
    }

    /// What wakes the sources that run on threads.
    pub fn readers(&self) -> Readers {
        self.readers.clone()
    }

    /// A new outlet for this source.
    pub fn outlet(&self, source: Source) -> Outlet {
        Outlet::new(source, self.sender.clone())
    }

    /// Runs a source as an async task; it is dropped when the agent stops. What `run` captures lives on from one run to
    /// the next.
    pub(crate) fn task<R>(&self, outlet: &Outlet, run: impl FnMut() -> R + Send + 'static)
    where
        R: Future<Output: Ending> + Send + 'static,
    {
        self.task_of_many(outlet.source().name(), std::slice::from_ref(outlet), run);
    }

    /// The same for sources that share a task.
    pub(crate) fn task_of_many<R>(
        &self,
        name: &'static str,
        outlets: &[Outlet],
        mut run: impl FnMut() -> R + Send + 'static,
    ) where
        R: Future<Output: Ending> + Send + 'static,
    {
        self.supervise(name, outlets, move |stop| {
            // Boxed, for it is large, and moves through every layer above otherwise.
            let run = Box::pin(run());
            async move {
                match stop.run_until_cancelled(run).await {
                    Some(ended) => ended.failure().map(Fall::Failed),
                    None => None,
                }
            }
        });
    }

    /// Runs a source on an OS thread. `run` ends only by an [`End`], and is then called again after a while.
    pub(crate) fn thread<F>(&self, outlet: &Outlet, run: F)
    where
        F: FnMut(&mut Worker) -> Result<Infallible, End> + Send + 'static,
    {
        let (run, of, readers) = (Arc::new(Mutex::new(run)), outlet.clone(), self.readers.clone());
        self.supervise(outlet.source().name(), std::slice::from_ref(outlet), move |stop| {
            let run = worker::run_on_thread(of.clone(), Arc::clone(&run), readers.clone(), stop);
            async {
                run.await.err().map(|error| match error {
                    NoThread::Panicked(panicked) => Fall::Panicked(panicked),
                    NoThread::Refused(_) => Fall::Failed(chain(&error)),
                })
            }
        });
    }

    fn supervise<R>(
        &self,
        name: &'static str,
        outlets: &[Outlet],
        mut run: impl FnMut(CancellationToken) -> R + Send + 'static,
    ) where
        R: Future<Output = Option<Fall>> + Send + 'static,
    {
        let outlets = outlets.to_vec();
        self.group.restarting(name, Need::Optional, move |stop| {
            let (run, outlets) = (Box::pin(run(stop.clone())), outlets.clone());
            async move {
                let fall = match caught(run).await {
                    Ok(None) if stop.is_cancelled() => return Ok(()),
                    Ok(fall) => fall.unwrap_or(Fall::Ended),
                    Err(panicked) => Fall::Panicked(panicked),
                };
                for outlet in &outlets {
                    outlet.fell(fall.reason()).await;
                }
                Err(fall)
            }
        });
    }
}
