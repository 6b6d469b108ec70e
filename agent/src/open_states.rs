//! States of the node that were reported and are not over, in a small file beside the outbox: what ends while no agent
//! runs, the next agent ends.
//!
//! A state is over by what shows that it does not hold: the daemon answers, the API server is watched. What leaves no
//! such trace is over if the checks of the node work and do not find it again.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use coroner_diagnosis::observation::{Source, kube::Kind};
use coroner_proto::v1::{Cause, DaemonState, Diagnosis, NodeReport, SourceHealth, SubjectKind};
use jiff::Timestamp;
use prost::Message as _;
use tokio::{sync::watch, task::spawn_blocking};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::{
    report::NodeState,
    status::{Board, wire_time},
};

/// States that are kept: more than there are parts of a node.
const STATES: usize = 64;
/// Bytes of the file that are read: records are kept to 16 KiB.
const BYTES: u64 = 1 << 20;
/// What is found again is found within this time.
const FOUND_AGAIN: Duration = Duration::from_secs(90);

/// Stores the states of the node that are not over, for the next agent.
#[derive(Debug)]
pub struct OpenStates {
    /// The contents of the file; none before there is a change.
    kept: watch::Sender<Option<Vec<u8>>>,
    boot_id: String,
    /// Those of this agent, as last reported, by uid.
    open: BTreeMap<String, Diagnosis>,
    /// Those of the agent before that have not been reported again.
    before: BTreeMap<String, Diagnosis>,
    started: Instant,
}

/// Writes the file, apart from who keeps the states: a disk may not answer for minutes.
#[derive(Clone, Debug)]
pub struct Writer {
    path: PathBuf,
    kept: watch::Receiver<Option<Vec<u8>>>,
}

impl Writer {
    /// Writes what is new until stopped, and then what is left.
    pub async fn run(mut self, stop: CancellationToken) {
        while let Some(Ok(())) = stop.run_until_cancelled(self.kept.changed()).await {
            self.write().await;
        }
        stop.cancelled().await;
        self.write().await;
    }

    async fn write(&mut self) {
        let path = self.path.clone();
        let Some(bytes) = self.kept.borrow_and_update().clone() else { return };
        // Without it, the next agent does not end what ends until it starts.
        if let Ok(Err(error)) = spawn_blocking(move || replace(&path, &bytes)).await {
            warn!(path = %self.path.display(), %error, "Cannot note the states of the node");
        }
    }
}

impl OpenStates {
    /// Reads what the agent before left. `outbox`: the file beside which it is.
    pub fn read(outbox: &Path, boot_id: &str) -> (Self, Writer) {
        let path = outbox.with_extension("states");
        let before = fs::metadata(&path).ok().filter(|file| file.len() <= BYTES).and_then(|_| fs::read(&path).ok());
        let before = before.map(|bytes| decode(&bytes)).unwrap_or_default();
        let (kept, written) = watch::channel(None);
        let states = Self { kept, boot_id: boot_id.to_owned(), open: BTreeMap::new(), before, started: Instant::now() };
        (states, Writer { path, kept: written })
    }

    /// The states that the previous agent had reported and not ended.
    pub fn earlier(&self) -> impl Iterator<Item = &Diagnosis> {
        self.before.values()
    }

    /// Takes what is reported, before it is compared with what was reported earlier.
    pub fn found(&mut self, diagnosis: &Diagnosis) {
        let is_state = diagnosis.subject.as_ref().is_some_and(|subject| subject.kind() == SubjectKind::Node);
        if is_state && let Some(before) = self.before.remove(&diagnosis.uid) {
            self.open.insert(diagnosis.uid.clone(), before);
        }
    }

    /// Takes what is reported, as it goes to the outbox.
    pub fn reported(&mut self, diagnosis: &Diagnosis) {
        if diagnosis.subject.as_ref().is_none_or(|subject| subject.kind() != SubjectKind::Node) {
            return;
        }
        if diagnosis.resolve_time.is_some() {
            self.open.remove(&diagnosis.uid);
        } else if self.open.len() < STATES || self.open.contains_key(&diagnosis.uid) {
            self.open.insert(diagnosis.uid.clone(), diagnosis.clone());
        }
        self.keep();
    }

    /// States of the agent before that are over by now, as they are to be reported.
    pub fn over(&mut self, state: &NodeState, board: &Board) -> Vec<Diagnosis> {
        if self.before.is_empty() {
            return Vec::new();
        }
        let (report, has_waited) = (state.now(), self.started.elapsed() >= FOUND_AGAIN);
        let works = |source: Source| {
            let sources = board.sources();
            sources.iter().any(|status| status.source == source.name() && status.health() == SourceHealth::Ok)
        };
        let over =
            |_: &String, diagnosis: &mut Diagnosis| is_over(diagnosis, &self.boot_id, &report, has_waited, &works);
        let over: Vec<_> = self.before.extract_if(.., over).map(|(_, diagnosis)| diagnosis).collect();
        if !over.is_empty() {
            self.keep();
        }
        let now = Some(wire_time(Timestamp::now()));
        let resolved = |diagnosis: Diagnosis| {
            let revision = diagnosis.revision.saturating_add(1);
            Diagnosis { resolve_time: now, revision, ..diagnosis }
        };
        over.into_iter().map(resolved).collect()
    }

    fn keep(&self) {
        let mut bytes = Vec::new();
        for diagnosis in self.before.values().chain(self.open.values()).take(STATES) {
            bytes.extend(diagnosis.encode_length_delimited_to_vec());
        }
        self.kept.send_replace(Some(bytes));
    }
}

/// Whether a state does not hold, by what this agent sees.
fn is_over(
    diagnosis: &Diagnosis,
    boot_id: &str,
    report: &NodeReport,
    has_waited: bool,
    works: &impl Fn(Source) -> bool,
) -> bool {
    let answers = |part: &Option<coroner_proto::v1::Daemon>| {
        part.as_ref().is_some_and(|part| part.state() == DaemonState::Running)
    };
    let api = [Kind::Pods, Kind::Nodes].map(Source::Api);
    match diagnosis.cause() {
        Cause::KubeletDown | Cause::KubeletHung | Cause::KubeletMisconfigured => answers(&report.kubelet),
        Cause::RuntimeDown | Cause::RuntimeHung => answers(&report.runtime),
        Cause::ApiServerUnreachable => api.into_iter().all(works),
        // What the kernel reported once, it does not report again in the same boot.
        Cause::KernelFault => diagnosis.node.as_ref().is_some_and(|node| node.boot_id != boot_id),
        Cause::NodeDiskPressure | Cause::NodePidPressure | Cause::NodeNetworkNotReady => has_waited && works(api[1]),
        _ => has_waited && works(Source::NodeChecks),
    }
}

fn decode(mut bytes: &[u8]) -> BTreeMap<String, Diagnosis> {
    let mut states = BTreeMap::new();
    while !bytes.is_empty()
        && states.len() < STATES
        && let Ok(diagnosis) = Diagnosis::decode_length_delimited(&mut bytes)
    {
        states.insert(diagnosis.uid.clone(), diagnosis);
    }
    states
}

/// Writes the file as a whole, so that a power loss leaves the old one or the new one.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = path.with_extension("states.new");
    fs::write(&new, bytes)?;
    fs::File::open(&new)?.sync_all()?;
    fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use coroner_diagnosis::observation::{Health, process::WaitStatus};
    use coroner_proto::v1::{Daemon, Node, Subject};
    use coroner_runtime::metrics::Metrics;

    use super::*;

    fn diagnosis(uid: &str, cause: Cause) -> Diagnosis {
        let subject = Subject { kind: SubjectKind::Node.into(), name: "n".to_owned(), ..Subject::default() };
        let node = Node { name: "n".to_owned(), boot_id: "b1".to_owned(), ..Node::default() };
        Diagnosis {
            uid: uid.to_owned(),
            revision: 2,
            cause: cause.into(),
            subject: Some(subject),
            node: Some(node),
            ..Diagnosis::default()
        }
    }

    #[tokio::test]
    async fn what_ended_while_no_agent_ran_is_ended_by_the_next() {
        let root = tempfile::tempdir().unwrap();
        let outbox = root.path().join("outbox.db");
        let (state, board) = (NodeState::default(), Board::new(&Metrics::default()));
        let (mut first, mut writer) = OpenStates::read(&outbox, "b1");
        for (uid, cause) in [("down", Cause::KubeletDown), ("fault", Cause::KernelFault), ("hung", Cause::RuntimeHung)]
        {
            first.reported(&diagnosis(uid, cause));
        }
        first.reported(&diagnosis("over", Cause::ClockSkewed));
        first.reported(&Diagnosis {
            resolve_time: Some(wire_time(Timestamp::now())),
            ..diagnosis("over", Cause::ClockSkewed)
        });
        assert!(first.over(&state, &board).is_empty());
        writer.write().await;

        let (mut second, mut writer) = OpenStates::read(&outbox, "b1");
        assert_eq!(second.earlier().count(), 3);
        assert!(second.over(&state, &board).is_empty(), "nothing is known yet");
        second.found(&diagnosis("hung", Cause::RuntimeHung));
        let running = Daemon { state: DaemonState::Running.into(), ..Daemon::default() };
        state.update(|report| (report.kubelet, report.runtime) = (Some(running.clone()), Some(running)));
        let over = second.over(&state, &board);
        assert_eq!(over.iter().map(|over| (over.uid.as_str(), over.revision)).collect::<Vec<_>>(), [("down", 3)]);
        assert!(over[0].resolve_time.is_some());
        writer.write().await;

        let (mut third, mut writer) = OpenStates::read(&outbox, "b2");
        assert_eq!(third.earlier().map(|of| of.uid.as_str()).collect::<Vec<_>>(), ["fault", "hung"]);
        assert_eq!(third.over(&state, &board).len(), 2, "another boot, and a runtime that answers");
        writer.write().await;
        assert_eq!(OpenStates::read(&outbox, "b2").0.earlier().count(), 0);
        board.set(Source::NodeChecks.name(), &Health::Ok);
        fs::write(outbox.with_extension("states"), "nonsense").unwrap();
        assert_eq!(OpenStates::read(&outbox, "b2").0.earlier().count(), 0);
        state.ended(coroner_diagnosis::observation::node::Daemon::Kubelet, WaitStatus::Exited(1));
    }
}
