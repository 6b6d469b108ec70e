//! Exporters: each carries what the ledger holds to one place outside, in the ledger's order, at least once.
//!
//! An exporter is a reader of the ledger like any other: it has a cursor of its own, on disk, that moves only behind what the
//! other side has taken, so a slow or absent receiver harms neither the ledger nor another exporter. What a receiver refuses
//! for good goes into a dead-letter file; what retention takes before it could be sent is told as a [`Gap`].

mod append;
mod connect;
mod cursor;
mod dead_letter;
mod format;
mod runner;
mod sink;
mod target;

use std::{
    collections::BTreeSet,
    fs::DirBuilder,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicI32, AtomicI64, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use coroner_proto::v1::{Diagnosis, ExporterState, ExporterStatus, Gap};
use tokio::time::sleep;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

pub(crate) use self::{
    connect::config as tls_config,
    target::{NatsServer, Options},
};
use self::{
    cursor::{Cursor, CursorFile},
    runner::Runner,
    target::Destination,
};
pub use self::{
    runner::Pace,
    target::{Filter, Start, Target, Wrong},
};
use crate::{
    lease,
    ledger::{Ledger, Offset, Position},
};

/// One record of the ledger on its way out.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    /// The place behind it.
    position: Position,
    /// Names it for good: what comes twice comes with the same one.
    id: String,
    record: Record,
}

#[derive(Clone, Debug)]
enum Record {
    Diagnosis(Box<Diagnosis>),
    Gap(Gap),
}

impl Item {
    fn diagnosis(position: Position, diagnosis: Diagnosis) -> Self {
        let id = format!("{}:{}", diagnosis.uid, diagnosis.revision);
        Self { position, id, record: Record::Diagnosis(Box::new(diagnosis)) }
    }

    /// A gap that takes the place of everything from `after` on.
    fn gap(epoch: Uuid, after: Offset, position: Position, gap: Gap) -> Self {
        Self { position, id: format!("gap:{epoch}:{after}-{}", position.offset), record: Record::Gap(gap) }
    }
}

/// What one exporter has done since the program started.
#[derive(Debug, Default)]
pub struct Counters {
    /// Records that the receiver has taken.
    pub sent: AtomicU64,
    /// Attempts that were followed by another one.
    pub retries: AtomicU64,
    /// Records that the receiver refused for good.
    pub dead_lettered: AtomicU64,
    /// Records that retention took before they could be sent.
    pub lost: AtomicU64,
    /// The ledger's offset up to which all is handled.
    pub offset: AtomicI64,
    /// How it fares: an [`ExporterState`] by its number.
    state: AtomicI32,
}

impl Counters {
    /// How it fares.
    pub fn state(&self) -> ExporterState {
        self.state.load(Relaxed).try_into().unwrap_or_default()
    }

    fn set_state(&self, state: ExporterState) {
        self.state.store(state.into(), Relaxed);
    }

    /// What is told of the exporter of this target while the ledger ends at `committed`.
    pub fn status(&self, target: &Target, committed: Offset) -> ExporterStatus {
        ExporterStatus {
            name: target.name.clone(),
            url: target.shown.clone(),
            state: self.state().into(),
            sent_count: self.sent.load(Relaxed),
            retry_count: self.retries.load(Relaxed),
            dead_letter_count: self.dead_lettered.load(Relaxed),
            lost_count: self.lost.load(Relaxed),
            lag_count: self.lag(committed),
        }
    }

    /// Records of the ledger that are still to come, wanted or not.
    pub fn lag(&self, committed: Offset) -> u64 {
        u64::try_from(committed - self.offset.load(Relaxed)).unwrap_or(0)
    }
}

/// An exporter that cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Two would share one cursor.
    #[error("two exporters are called {0}; give one of them another name, as ?name=siem-2")]
    SameName(String),
    /// It has no place for its cursor.
    #[error("cannot {doing} {}", path.display())]
    File {
        /// What was being done.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
}

/// Checks what can be known to be wrong before anything is started.
///
/// # Errors
/// [`Error::SameName`].
pub fn check(targets: &[Target]) -> Result<(), Error> {
    let mut names = BTreeSet::new();
    match targets.iter().find(|target| !names.insert(&target.name)) {
        Some(target) => Err(Error::SameName(target.name.clone())),
        None => Ok(()),
    }
}

/// What all exporters of a ledger have in common.
#[derive(Clone, Debug)]
pub struct Exporters {
    /// What they read.
    pub ledger: Arc<Ledger>,
    /// Where they keep their cursors and dead letters.
    pub directory: PathBuf,
    /// How they keep time.
    pub pace: Pace,
    /// They end when this is cancelled.
    pub stop: CancellationToken,
}

impl Exporters {
    /// Beside the ledger's file.
    pub fn directory_of(ledger: &Path) -> PathBuf {
        let mut name = ledger.as_os_str().to_owned();
        name.push(".export");
        name.into()
    }

    /// Starts one exporter; gives its counters.
    ///
    /// # Errors
    /// If its cursor cannot be read or written.
    pub async fn start(&self, target: Target, tasks: &TaskTracker) -> Result<Arc<Counters>, Error> {
        let Target { destination, .. } = target.clone();
        match destination {
            Destination::Lines(lines) => self.start_with(target, move || sink::Lines::new(lines.clone()), tasks).await,
            Destination::Nats(nats) => self.start_with(target, move || sink::Nats::new(nats.clone()), tasks).await,
            Destination::Otlp(otlp) => self.start_with(target, move || sink::Otlp::new(otlp.clone()), tasks).await,
            Destination::Syslog(syslog) => {
                self.start_with(target, move || sink::Syslog::new(syslog.clone()), tasks).await
            }
            Destination::Webhook(webhook) => {
                self.start_with(target, move || sink::Webhook::new(webhook.clone()), tasks).await
            }
        }
    }

    async fn start_with<S: sink::Sink>(
        &self,
        target: Target,
        sink: impl Fn() -> S + Send + 'static,
        tasks: &TaskTracker,
    ) -> Result<Arc<Counters>, Error> {
        make_directory(&self.directory)?;
        let counters = Arc::new(Counters::default());
        match self.ledger.state() {
            None => {
                let cursor = Cursor::File(CursorFile::new(&self.directory, &target.name));
                let stop = self.stop.clone();
                let runner = Runner::open(self, target, sink(), cursor, Arc::clone(&counters), stop).await?;
                tasks.spawn(runner.run());
            }
            Some(state) => {
                let (exporters, state, counters) = (self.clone(), state.clone(), Arc::clone(&counters));
                tasks.spawn(async move {
                    let name = format!("export.{}", target.name);
                    while let Some(turn) = lease::turn(&state, &name, &exporters.stop).await {
                        let (cursor, over) = (Cursor::Leased(turn.lease.clone()), turn.over.clone());
                        let counters = Arc::clone(&counters);
                        let runner = Runner::open(&exporters, target.clone(), sink(), cursor, counters, over).await;
                        match runner {
                            Ok(runner) => runner.run().await,
                            Err(error) => {
                                tracing::warn!(exporter = target.name, %error, "Cannot export yet");
                                sleep(exporters.pace.first).await;
                            }
                        }
                        turn.end().await;
                    }
                });
            }
        }
        Ok(counters)
    }
}

fn make_directory(directory: &Path) -> Result<(), Error> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.map_err(|source| Error::File { doing: "create", path: directory.into(), source })
}

/// The longest that a receiver may take for one batch.
const SEND_DEADLINE: Duration = Duration::from_secs(30);
