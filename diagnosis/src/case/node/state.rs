//! What is known of the node as a whole: its daemons, its way to the API server, pressure, and what its kernel reports.

use std::collections::{BTreeMap, VecDeque, btree_map::Entry};

use jiff::{SignedDuration, Timestamp};

use super::NodeFile;
use crate::{
    case::{Statement, Subject},
    observation::{
        kernel_log::{Trouble, TroubleKind},
        node::{
            Answer, ApiServer, BlockedProcess, Daemon, Fill, Pressure, Process, Reading, Reference, Table, Validity,
        },
    },
};

/// Ends of one daemon's processes that are kept: the latest.
const ENDS: usize = 16;
/// File systems of which it is kept whether they are read-only.
const FILE_SYSTEMS: usize = 64;

/// The kernel writes all lines of one bug within this time.
const BESIDE: SignedDuration = SignedDuration::from_secs(1);

/// What is known of the node as a whole. Bounded by the number of daemons, checks and kinds of faults.
#[derive(Debug, Default)]
pub struct NodeState {
    daemons: BTreeMap<Daemon, DaemonFile>,
    /// The way to the API server. `at`: since when it is reached, or is not.
    pub api_server: Option<Statement<ApiServer>>,
    /// Shares of time in which tasks waited, as last read.
    pub pressure: Option<Statement<Pressure>>,
    /// Since when tasks wait for memory so much that the node hardly gets any further.
    pub stalled_since: Option<Timestamp>,
    /// When tasks last waited for memory so much.
    pub stalled_last: Option<Timestamp>,
    /// Processes in uninterruptible sleep, as last reported.
    pub blocked: Option<Statement<Vec<BlockedProcess>>>,
    /// How full tables of the kernel are, as last read.
    pub tables: BTreeMap<Table, Statement<Fill>>,
    /// File systems, and since when each is read-only, or is not.
    pub read_only: BTreeMap<String, Statement<bool>>,
    /// When a file system that had become read-only was last found writable again, or not mounted any more.
    pub writable_again: Option<Timestamp>,
    /// When the certificate expires that the kubelet presents on its port.
    pub certificate: Option<Statement<Timestamp>>,
    /// The certificate by which the kubelet authenticates to the API server, as far as its file shows.
    pub client_certificate: Option<Statement<Validity>>,
    /// The node's clock minus another, and since when that is about so.
    pub clocks: BTreeMap<Reference, Statement<SignedDuration>>,
    /// When this boot began, by the node's clock as it is set now.
    pub booted: Option<Timestamp>,
    /// Since when the host is known to be shutting down.
    pub shutdown: Option<Timestamp>,
    /// The kernel's reports of faults, by kind.
    pub troubles: BTreeMap<TroubleKind, TroubleFile>,
}

/// What is known of the kubelet or the container runtime.
#[derive(Debug, Default)]
pub struct DaemonFile {
    /// Its process, as /proc last showed it. `at`: since when so.
    pub process: Option<Statement<Option<Process>>>,
    /// The pid of the process that ended last, and when.
    pub ended: Option<Statement<i32>>,
    /// When its processes ended, the latest end last.
    pub ends: VecDeque<Timestamp>,
    /// What its interface last answered. `at`: since when it answers in this way.
    pub answer: Option<Statement<Answer>>,
    /// When it last answered that all is well, or answered at all where it does not let the agent ask.
    pub answered: Option<Timestamp>,
    /// The last lines of the process that ended last.
    pub last_lines: Vec<String>,
}

/// What the kernel reported of one kind of fault.
#[derive(Debug)]
pub struct TroubleFile {
    /// When it was first reported since [`QUIET`](Self::QUIET) had passed without a report.
    pub first: Timestamp,
    /// When it was last reported.
    pub last: Timestamp,
    /// How often it was reported since `first`.
    pub count: u64,
    /// The task, device or server that the last report names.
    pub about: String,
    /// The kernel's line, as last reported.
    pub line: String,
}

impl TroubleFile {
    /// A fault that has not been reported again for so long is over.
    pub const QUIET: SignedDuration = SignedDuration::from_mins(10);
}

impl NodeState {
    /// What is known of a daemon, if anything.
    pub fn daemon(&self, daemon: Daemon) -> Option<&DaemonFile> {
        self.daemons.get(&daemon)
    }

    /// When what holds of the node changes without another report: a fault that has been quiet for long is over, a
    /// certificate expires, or ought to have been renewed.
    pub fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        let quiet = self.troubles.values().map(|trouble| trouble.last + TroubleFile::QUIET);
        let expires = self.certificate.as_ref().map(|certificate| certificate.what);
        let client = self.client_certificate.as_ref().map(|certificate| certificate.what);
        let of_client = client.into_iter().flat_map(|validity| [validity.overdue(), validity.until]);
        quiet.chain(expires).chain(of_client).filter(|at| *at > now).min()
    }

    fn record(&mut self, at: Timestamp, reading: Reading) {
        match reading {
            Reading::Process(daemon, process) => self.daemons.entry(daemon).or_default().record_process(at, process),
            Reading::Answer(daemon, answer) => self.daemons.entry(daemon).or_default().record_answer(at, answer),
            Reading::LastLines(daemon, lines) => self.daemons.entry(daemon).or_default().last_lines = lines,
            Reading::ApiServer(reached) => {
                replace(&mut self.api_server, at, reached, |before, now| {
                    before.failed.is_some() == now.failed.is_some()
                });
            }
            Reading::Pressure(pressure) => {
                replace(&mut self.pressure, at, pressure, |_, _| false);
                self.stalled_since = pressure.is_stalled().then(|| self.stalled_since.unwrap_or(at));
                self.stalled_last = self.stalled_last.max(self.stalled_since.map(|_| at));
            }
            Reading::Blocked(processes) => replace(&mut self.blocked, at, processes, |_, _| false),
            Reading::Table(table, fill) => {
                let mut known = self.tables.remove(&table);
                replace(&mut known, at, fill, |before, now| before.is_full() == now.is_full());
                self.tables.extend(known.map(|known| (table, known)));
            }
            Reading::ReadOnly { path, read_only, .. } if path.starts_with("/dev/") => {
                let known = self.troubles.get(&TroubleKind::FileSystemReadOnly);
                let is_its = |known: &TroubleFile| path.strip_prefix("/dev/") == Some(&*known.about);
                if !read_only && known.is_some_and(is_its) {
                    self.writable_again = self.writable_again.max(Some(at));
                }
            }
            Reading::ReadOnly { path, read_only, forced } => {
                let mut known = self.read_only.remove(&path);
                if known.as_ref().is_some_and(|known| known.what && !read_only) {
                    self.writable_again = self.writable_again.max(Some(at));
                }
                // One that was read-only from the start is meant to be, unless its mount permits writing.
                if known.is_some() || !read_only || forced {
                    replace(&mut known, at, read_only, |before, now| before == now);
                }
                if self.read_only.len() < FILE_SYSTEMS {
                    self.read_only.extend(known.map(|known| (path, known)));
                }
            }
            Reading::KubeletCertificate(expires) => replace(&mut self.certificate, at, expires, |_, _| false),
            Reading::KubeletClientCertificate(validity) => {
                replace(&mut self.client_certificate, at, validity, |_, _| false);
            }
            Reading::Clock(reference, offset) => {
                let mut known = self.clocks.remove(&reference);
                replace(&mut known, at, offset, |before, now| (*before - *now).abs() < CLOCK_NOISE);
                self.clocks.extend(known.map(|known| (reference, known)));
            }
            Reading::Uptime(uptime) => self.record_booted(at.checked_sub(uptime).ok()),
            Reading::Shutdown(true) => self.shutdown = self.shutdown.or(Some(at)),
            Reading::Shutdown(false) => self.shutdown = None,
        }
    }

    /// The boot has not moved: where it began at another time, the clock was set, and what it was compared with before
    /// shows nothing of it any more.
    fn record_booted(&mut self, booted: Option<Timestamp>) {
        let moved = self.booted.zip(booted).map(|(before, now)| before.duration_since(now).abs());
        if moved.is_some_and(|moved| moved >= CLOCK_NOISE) {
            self.clocks.clear();
        }
        self.booted = booted;
    }

    fn record_trouble(&mut self, at: Timestamp, Trouble { kind, about }: Trouble, line: String) {
        match self.troubles.entry(kind) {
            Entry::Vacant(entry) => {
                entry.insert(TroubleFile { first: at, last: at, count: 1, about, line });
            }
            Entry::Occupied(mut entry) => {
                let known = entry.get_mut();
                if at > known.last + TroubleFile::QUIET {
                    *known = TroubleFile { first: at, last: at, count: 1, about, line };
                } else if (at, &line) != (known.last, &known.line) {
                    let again = kind != TroubleKind::Oops || at.duration_since(known.last).abs() > BESIDE;
                    known.count = known.count.saturating_add(again.into());
                    if at >= known.last {
                        (known.last, known.about, known.line) = (at, about, line);
                    }
                    known.first = known.first.min(at);
                }
            }
        }
    }
}

/// Two measurements of one offset between clocks differ by less.
const CLOCK_NOISE: SignedDuration = SignedDuration::from_secs(5);

/// Puts a statement in the place of an older one. It holds since the older one did, where `goes_on`.
fn replace<T>(known: &mut Option<Statement<T>>, at: Timestamp, what: T, goes_on: impl FnOnce(&T, &T) -> bool) {
    let since = match known {
        Some(before) if before.at > at => return,
        Some(before) if goes_on(&before.what, &what) => before.at,
        _ => at,
    };
    *known = Some(Statement { at: since, what });
}

impl DaemonFile {
    fn record_process(&mut self, at: Timestamp, process: Option<Process>) {
        let before = self.process.as_ref().filter(|before| before.at <= at).and_then(|before| before.what);
        if let Some(before) = before
            && process.map(|process| process.pid) != Some(before.pid)
        {
            self.ended = Some(Statement { at, what: before.pid });
            self.ends.push_back(at);
            if self.ends.len() > ENDS {
                self.ends.pop_front();
            }
        }
        replace(&mut self.process, at, process, |before, now| before == now);
    }

    fn record_answer(&mut self, at: Timestamp, answer: Answer) {
        if matches!(answer, Answer::Ok | Answer::Denied(_)) {
            self.answered = self.answered.max(Some(at));
        }
        let is_same_kind =
            |before: &Answer, now: &Answer| std::mem::discriminant(before) == std::mem::discriminant(now);
        replace(&mut self.answer, at, answer, is_same_kind);
    }
}

impl Fill {
    /// Whether at least 98 percent of the entries are in use.
    pub fn is_full(&self) -> bool {
        self.limit > 0 && self.count >= self.limit - self.limit / 50
    }
}

impl NodeFile {
    pub(super) fn record_reading(&mut self, at: Timestamp, reading: Reading, concerned: &mut super::Concerned) {
        self.state.record(at, reading);
        concerned.insert(Subject::Node);
    }

    pub(super) fn record_trouble(
        &mut self,
        at: Timestamp,
        trouble: Trouble,
        line: String,
        concerned: &mut super::Concerned,
    ) {
        self.state.record_trouble(at, trouble, line);
        concerned.insert(Subject::Node);
    }
}
