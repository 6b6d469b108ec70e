//! The sinks. A sink sends one batch and reports the result; retries are the runner's task.

mod events;
mod headers;
mod lines;
mod nats;
mod otlp;
mod proxied;
mod syslog;
mod webhook;

use std::{error::Error, io, time::Duration};

use coroner_diagnosis::{messages::operation, observation::Reason};
use coroner_runtime::error::chain;

use super::item::Item;
use crate::remote::UnusableFile;

pub(super) use self::{events::Events, lines::Lines, nats::Nats, otlp::Otlp, syslog::Syslog, webhook::Webhook};

/// One way out. A `send` that is dropped half-way may have sent anything; the batch comes again.
pub(super) trait Sink: Send + 'static {
    /// Sends records in their order. On success the receiver has all of them.
    fn send(&mut self, batch: &[Item]) -> impl Future<Output = Result<Taken, Refused>> + Send;
}

/// The receiver has accepted the batch, or all but some of it.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// The part that the receiver rejected, if any.
    pub(super) rejected: Option<Rejected>,
}

/// What the receiver will never accept of a batch: how many, and why, but not which.
#[derive(Debug)]
pub(super) struct Rejected {
    pub(super) count: usize,
    pub(super) why: Reason,
}

/// The receiver has not all of the batch.
#[derive(Debug)]
pub(super) struct Refused {
    /// So many of its first records it has for certain.
    pub(super) done: usize,
    pub(super) remedy: Remedy,
    pub(super) why: Reason,
}

impl Refused {
    pub(super) fn new(remedy: Remedy, why: impl Into<Reason>) -> Self {
        Self { done: 0, remedy, why: why.into() }
    }

    /// With the error of a library or of the system.
    pub(super) fn failed(remedy: Remedy, error: &dyn Error) -> Self {
        Self::new(remedy, operation::export_failed(chain(error)))
    }

    /// With an error of I/O: one of the files of the configuration has to be corrected, anything else is tried again.
    pub(super) fn io(error: &io::Error) -> Self {
        match UnusableFile::within(error) {
            Some(file) => Self::new(Remedy::Hold, file.message()),
            None => Self::failed(Remedy::RETRY, error),
        }
    }
}

/// What to do after a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remedy {
    /// Nothing is wrong with the batch. After so long, if the receiver requests it.
    Retry { after: Option<Duration> },
    /// One of its records will never be taken.
    Bisect,
    /// An operator has to act.
    Hold,
}

impl Remedy {
    pub(super) const RETRY: Self = Self::Retry { after: None };
}
