//! States of the node that were reported and are not over, in a small file beside the outbox: what ends while no agent
//! runs, the next agent ends.
//!
//! A state is over by what shows that it does not hold: the daemon answers, the API server is watched. That it has a
//! process is no such thing: one that hangs has, and so has one that ends again after each start. What leaves no such
//! trace is over if the checks of the node work and do not find it again.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use coroner_diagnosis::observation::{
    Fact, Source,
    kube::Kind,
    node::{Answer, Daemon, Process, Reading},
};
use coroner_proto::v1::{Cause, Diagnosis, SourceHealth, SubjectKind};
use coroner_runtime::whole_file::replace;
use jiff::Timestamp;
use prost::Message as _;
use tokio::{sync::watch, task::spawn_blocking};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::status::{Board, wire_time};

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
    /// What this agent has seen of the daemons.
    daemons: BTreeMap<Daemon, Seen>,
    started: Instant,
}

/// What an answer shows of a daemon, the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Shown {
    /// Not that it works.
    Nothing,
    /// That it works, and that something is wrong.
    Work,
    /// That all is well, as far as the agent may ask.
    Health,
}

impl Shown {
    fn by(daemon: Daemon, answer: &Answer) -> Self {
        match answer {
            Answer::Ok | Answer::Denied(_) => Self::Health,
            Answer::Unwell(_) if !answer.is_stalled(daemon) => Self::Work,
            Answer::Unwell(_) | Answer::Refused(_) | Answer::Timeout => Self::Nothing,
        }
    }
}

/// What this agent has seen of a daemon.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    /// What it last answered; `None` before it was asked.
    answer: Option<Shown>,
    /// Since when it has this process, and whether that is stopped.
    process: Option<(Instant, Process)>,
}

impl Seen {
    /// Whether it shows at least so much. One that is not asked is well if its process stays.
    fn shows(self, least: Shown) -> bool {
        let stays = |(since, process): (Instant, Process)| !process.stopped && since.elapsed() >= FOUND_AGAIN;
        self.answer.map_or_else(|| self.process.is_some_and(stays), |answer| answer >= least)
    }

    fn is_known(self) -> bool {
        self.answer.is_some() || self.process.is_some()
    }
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
        let (boot_id, started) = (boot_id.to_owned(), Instant::now());
        let states = Self { kept, boot_id, open: BTreeMap::new(), before, daemons: BTreeMap::new(), started };
        (states, Writer { path, kept: written })
    }

    /// The states that the previous agent had reported and not ended.
    pub fn earlier(&self) -> impl Iterator<Item = &Diagnosis> {
        self.before.values()
    }

    /// Takes what a source of this agent observes.
    pub fn observe(&mut self, fact: &Fact) {
        match fact {
            Fact::Node(Reading::Answer(daemon, answer)) => {
                self.daemons.entry(*daemon).or_default().answer = Some(Shown::by(*daemon, answer));
            }
            Fact::Node(Reading::Process(daemon, process)) => {
                self.daemons.entry(*daemon).or_default().process = process.map(|process| (Instant::now(), process));
            }
            _ => {}
        }
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
    pub fn over(&mut self, board: &Board) -> Vec<Diagnosis> {
        if self.before.is_empty() {
            return Vec::new();
        }
        let has_waited = self.started.elapsed() >= FOUND_AGAIN;
        let works = |source: Source| {
            let sources = board.sources();
            sources.iter().any(|status| status.source == source.name() && status.health() == SourceHealth::Ok)
        };
        let seen = |daemon| self.daemons.get(&daemon).copied().unwrap_or_default();
        let over = |_: &String, diagnosis: &mut Diagnosis| is_over(diagnosis, &self.boot_id, &seen, has_waited, &works);
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
    seen: &impl Fn(Daemon) -> Seen,
    has_waited: bool,
    works: &impl Fn(Source) -> bool,
) -> bool {
    let api = [Kind::Pods, Kind::Nodes].map(Source::Api);
    // One that ends again after each start may answer between: that is found again.
    let runs = if has_waited { Shown::Work } else { Shown::Health };
    match diagnosis.cause() {
        Cause::KubeletMisconfigured => seen(Daemon::Kubelet).shows(Shown::Health),
        Cause::KubeletDown => seen(Daemon::Kubelet).shows(runs),
        Cause::KubeletHung => seen(Daemon::Kubelet).shows(Shown::Work),
        // A runtime of which the agent sees nothing was reported by the kubelet.
        Cause::RuntimeDown | Cause::RuntimeHung if !seen(Daemon::Runtime).is_known() => has_waited && works(api[1]),
        Cause::RuntimeDown => seen(Daemon::Runtime).shows(runs),
        Cause::RuntimeHung => seen(Daemon::Runtime).shows(Shown::Work),
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

#[cfg(test)]
mod tests {
    use coroner_diagnosis::observation::Reason;
    use coroner_proto::v1::{Node, Subject};
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

    fn board() -> Board {
        Board::new(&Metrics::default())
    }

    fn answered(daemon: Daemon, answer: Answer) -> Fact {
        Fact::Node(Reading::Answer(daemon, answer))
    }

    #[tokio::test]
    async fn what_ended_while_no_agent_ran_is_ended_by_the_next() {
        let root = tempfile::tempdir().unwrap();
        let (outbox, board) = (root.path().join("outbox.db"), board());
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
        assert!(first.over(&board).is_empty());
        writer.write().await;

        let (mut second, mut writer) = OpenStates::read(&outbox, "b1");
        assert_eq!(second.earlier().count(), 3);
        assert!(second.over(&board).is_empty(), "nothing is known yet");
        second.found(&diagnosis("hung", Cause::RuntimeHung));
        for daemon in [Daemon::Kubelet, Daemon::Runtime] {
            second.observe(&answered(daemon, Answer::Ok));
        }
        let over = second.over(&board);
        assert_eq!(over.iter().map(|over| (over.uid.as_str(), over.revision)).collect::<Vec<_>>(), [("down", 3)]);
        assert!(over[0].resolve_time.is_some());
        writer.write().await;

        let (mut third, mut writer) = OpenStates::read(&outbox, "b2");
        assert_eq!(third.earlier().map(|of| of.uid.as_str()).collect::<Vec<_>>(), ["fault", "hung"]);
        third.observe(&answered(Daemon::Runtime, Answer::Denied(Reason::quote(""))));
        assert_eq!(third.over(&board).len(), 2, "another boot, and a runtime that answers");
        writer.write().await;
        assert_eq!(OpenStates::read(&outbox, "b2").0.earlier().count(), 0);
        fs::write(outbox.with_extension("states"), "nonsense").unwrap();
        assert_eq!(OpenStates::read(&outbox, "b2").0.earlier().count(), 0);
    }

    #[tokio::test]
    async fn a_daemon_that_hangs_does_so_until_it_answers() {
        let root = tempfile::tempdir().unwrap();
        let (outbox, board) = (root.path().join("outbox.db"), board());
        let (mut first, mut writer) = OpenStates::read(&outbox, "b1");
        first.reported(&diagnosis("hung", Cause::KubeletHung));
        first.reported(&diagnosis("down", Cause::RuntimeDown));
        writer.write().await;
        let (mut next, _) = OpenStates::read(&outbox, "b1");
        for daemon in [Daemon::Kubelet, Daemon::Runtime] {
            next.observe(&Fact::Node(Reading::Process(daemon, Some(Process { pid: 7, stopped: false }))));
            assert_eq!(next.over(&board), [], "it has a process, and was not asked yet");
        }
        for answer in
            [Answer::Timeout, Answer::Refused(Reason::quote("")), Answer::Unwell(Reason::quote("[-]syncloop failed"))]
        {
            next.observe(&answered(Daemon::Kubelet, answer));
            assert_eq!(next.over(&board), []);
        }
        // However long that lasts.
        next.started = next.started.checked_sub(FOUND_AGAIN).unwrap();
        assert_eq!(next.over(&board), []);
        next.observe(&answered(Daemon::Kubelet, Answer::Ok));
        assert_eq!(next.over(&board).iter().map(|over| over.uid.as_str()).collect::<Vec<_>>(), ["hung"]);
        // One that is not asked works if its process stays.
        let seen = next.daemons.get_mut(&Daemon::Runtime).unwrap();
        seen.process = seen.process.map(|(since, process)| (since.checked_sub(FOUND_AGAIN).unwrap(), process));
        assert_eq!(next.over(&board).iter().map(|over| over.uid.as_str()).collect::<Vec<_>>(), ["down"]);
    }

    #[tokio::test]
    async fn a_daemon_that_answers_works_whatever_else_is_wrong() {
        let root = tempfile::tempdir().unwrap();
        let (outbox, board) = (root.path().join("outbox.db"), board());
        let (mut first, mut writer) = OpenStates::read(&outbox, "b1");
        let causes = [
            Cause::KubeletHung,
            Cause::KubeletDown,
            Cause::KubeletMisconfigured,
            Cause::RuntimeHung,
            Cause::RuntimeDown,
        ];
        for cause in causes {
            first.reported(&diagnosis(cause.as_str_name(), cause));
        }
        writer.write().await;
        let (mut next, _) = OpenStates::read(&outbox, "b1");
        let over = |next: &mut OpenStates| next.over(&board).iter().map(Diagnosis::cause).collect::<Vec<_>>();
        for (daemon, wrong) in [(Daemon::Kubelet, "the token is not reviewed"), (Daemon::Runtime, "unknown service")] {
            next.observe(&answered(daemon, Answer::Unwell(Reason::quote(wrong))));
        }
        assert_eq!(over(&mut next), [Cause::KubeletHung, Cause::RuntimeHung]);
        next.started = next.started.checked_sub(FOUND_AGAIN).unwrap();
        assert_eq!(over(&mut next), [Cause::KubeletDown, Cause::RuntimeDown], "they do not end again after each start");
        next.observe(&answered(Daemon::Kubelet, Answer::Ok));
        assert_eq!(over(&mut next), [Cause::KubeletMisconfigured]);
    }
}
