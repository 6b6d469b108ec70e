//! A recorded case, line by line, back into observations. `tests/corpus/README.md` describes the format.
//!
//! Each line of a file is `{"t": <unix time in ns when the recorder got it>, …}`. An empty file means that the source
//! was there and silent, an absent one that there was no such source. Files not known here are passed over.

use std::{collections::BTreeMap, io};

use coroner_proto::v1::Node;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::messages::health::health_not_recorded;
use crate::observation::kube::Kind;
use crate::observation::{Fact, Health, Observation, Source};
use crate::parse::ParseError;
use crate::text;

mod api;
mod containerd;
mod cri;
mod kernel;
mod kubelet;
mod log;
mod observed;
mod stream;

pub use observed::{OBSERVED, Scope, redact, row};
pub use stream::Observations;

/// The part of `case.json` that is needed to understand the files beside it. The truth in it is not read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recording {
    /// The version of the format, [`FORMAT`] at most; 0 for what is no recording of `coroner record`.
    #[serde(default)]
    pub format: u32,
    /// The version of Coroner that recorded it; empty for others.
    #[serde(default)]
    pub coroner: String,
    /// It ended early, because it had reached its bound of bytes.
    #[serde(default)]
    pub full: bool,
    /// When the recording began.
    #[serde(with = "nanoseconds")]
    pub start: Timestamp,
    /// When the recording ended.
    #[serde(with = "nanoseconds")]
    pub end: Timestamp,
    /// Unix time when the kernel's clocks were at zero, in nanoseconds.
    pub boot_offset_ns: i64,
    /// The namespace of the case; empty if it is not named.
    #[serde(default)]
    pub namespace: String,
    /// Name and versions of the node that was recorded.
    #[serde(default)]
    pub node: RecordedNode,
}

/// The node that a case was recorded on. Unknown values are empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RecordedNode {
    /// The name of the Node object.
    #[serde(rename = "node_name")]
    pub name: String,
    /// The release of Linux, as uname(2) reports it: `6.18.44`.
    pub kernel: String,
    /// The version of the kubelet: `v1.36.2`.
    pub kubelet: String,
    /// The version of containerd: `2.3.4`.
    pub containerd: String,
    /// The version of cgroups: `v1` or `v2`.
    pub cgroup: String,
}

impl From<&RecordedNode> for Node {
    fn from(node: &RecordedNode) -> Self {
        Self { name: node.name.clone(), kernel_release: node.kernel.clone(), ..Self::default() }
    }
}

/// The newest format of what `coroner record` writes. It grows when an earlier version would read a recording wrongly.
pub const FORMAT: u32 = 1;

/// Why `case.json` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CaseError {
    /// It is not JSON, or lacks what every case has.
    #[error("reading case.json")]
    Json(#[from] serde_json::Error),
    /// A later version wrote it.
    #[error("recorded by coroner {0} in a later format: replay it with that version")]
    Later(String),
}

/// A line of a recording that cannot be used, with its place.
#[derive(Debug, thiserror::Error)]
#[error("{file}, line {line}")]
pub struct LineError {
    /// The name of the file in the case, without its folder.
    pub file: String,
    /// The line's number, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub source: Problem,
}

/// Why a line of a recording cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// It is not JSON, or not of the shape that its file has. Also what an interrupted recorder leaves of a last line.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// What it quotes is not what its interface gives.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// It cannot be read.
    #[error(transparent)]
    Read(#[from] io::Error),
    /// A time beyond what can be represented.
    #[error("a time out of range")]
    Time(#[from] jiff::Error),
}

/// The facts of one line, with the time at which each happened, if the source's clock shows it.
type Facts = Vec<(Option<Timestamp>, Fact)>;

/// Where a line stands.
struct Context<'r> {
    recording: &'r Recording,
    seen_at: Timestamp,
    /// When the line before was seen, or the start.
    previous: Timestamp,
}

impl Context<'_> {
    /// Unix time for a time since boot.
    fn since_boot(&self, micros: u64) -> Result<Timestamp, jiff::Error> {
        self.recording.booted().checked_add(SignedDuration::from_micros(i64::try_from(micros).unwrap_or(i64::MAX)))
    }
}

/// The folder with the recordings of a second node of the case.
pub const GUEST: &str = "guest/";

/// The files of each source of the node.
const FILES: [(Source, &[&str]); 10] = [
    (Source::KernelLog, &["kmsg"]),
    (Source::Cgroups, &["cgroups"]),
    (Source::Cri, &["cri_containers", "cri_events"]),
    (Source::Containerd, &["containerd_events"]),
    (Source::Signals, &["trace"]),
    (Source::Procfs, &["procfs"]),
    (Source::Disk, &["procfs"]),
    (Source::Kubelet, &["kubelet_pods", "kubelet_summary", "kubelet_healthz", "kubelet_configz"]),
    (Source::Logs, &["pod_logs"]),
    (Source::NodeChecks, &["procfs", "kubelet_healthz"]),
];

impl Recording {
    /// From the text of `case.json`.
    ///
    /// # Errors
    /// If it is not JSON, contains neither start, end nor clock, or is of a later format.
    pub fn new(case_json: &str) -> Result<Self, CaseError> {
        let recording: Self = serde_json::from_str(case_json)?;
        if recording.format > FORMAT {
            return Err(CaseError::Later(text::clean(&recording.coroner, 63)));
        }
        Ok(recording)
    }

    /// When the kernel's clocks were at zero: the last boot of the node, of two that of the second one.
    pub fn booted(&self) -> Timestamp {
        Timestamp::from_nanosecond(i128::from(self.boot_offset_ns)).unwrap_or(Timestamp::MIN)
    }

    /// All that the files of a case report, in the order in which it was seen, read as it is asked for. It begins with
    /// the health of every source. Of each file, the lines are given by its name, which may have an ending, as
    /// `kmsg.ndjson`; they are read in their order.
    pub fn stream<L: Iterator<Item = io::Result<String>>>(
        &self,
        files: impl IntoIterator<Item = (String, L)>,
    ) -> Observations<'_, L> {
        // By name, so that what was seen at the same moment does not hang on the order of a directory.
        let files: BTreeMap<String, L> = files.into_iter().collect();
        let has = |stem: &str| files.keys().any(|name| without_ending(name) == stem);
        // Observations contain the health of their sources.
        let health = if has(OBSERVED) { Vec::new() } else { self.health(has) };
        Observations::new(self, health, files)
    }

    /// The same of what the second node of a case reported itself: the files in its folder `guest`. `None` if there are
    /// none.
    pub fn guest_stream<L: Iterator<Item = io::Result<String>>>(
        &self,
        files: impl IntoIterator<Item = (String, L)>,
    ) -> Option<Observations<'_, L>> {
        let of_guest = |(name, lines): (String, L)| Some((name.strip_prefix(GUEST)?.to_owned(), lines));
        let files: Vec<_> = files.into_iter().filter_map(of_guest).collect();
        (!files.is_empty()).then(|| self.stream(files))
    }

    /// The same of files that are in memory.
    ///
    /// # Errors
    /// At the first line that cannot be used.
    pub fn observations<N: Into<String>, C: AsRef<str>>(
        &self,
        files: impl IntoIterator<Item = (N, C)>,
    ) -> Result<Vec<Observation>, LineError> {
        let files: Vec<(String, C)> = files.into_iter().map(|(name, contents)| (name.into(), contents)).collect();
        self.stream(files.iter().map(|(name, contents)| (name.clone(), in_memory(contents.as_ref())))).collect()
    }

    /// What one file reports, line by line. Its name may have an ending, as `kmsg.ndjson`.
    ///
    /// # Errors
    /// At the first line that cannot be used.
    pub fn read(&self, file_name: &str, contents: &str) -> Result<Vec<Observation>, LineError> {
        let lines = in_memory(contents);
        stream::File::new(self, file_name.to_owned(), lines).collect()
    }

    fn health(&self, has: impl Fn(&str) -> bool) -> Vec<Observation> {
        let of_node = Source::OF_NODE.into_iter().map(|source| {
            let files = FILES.iter().find(|(of, _)| *of == source).map_or(&[][..], |(_, files)| *files);
            (source, files.iter().any(|stem| has(stem)))
        });
        let of_api = Kind::ALL.into_iter().map(|kind| {
            // Events of the node itself are recorded beside those of the namespace.
            let file = if kind == Kind::Claims { "pvcs" } else { kind.name() };
            (Source::Api(kind), has(file))
        });
        of_node
            .chain(of_api)
            .map(|(source, there)| {
                let health = if there { Health::Ok } else { Health::Absent(health_not_recorded().into()) };
                Observation { seen_at: self.start, happened_at: self.start, fact: Fact::Health(source, health) }
            })
            .collect()
    }
}

/// What reads one line of a file.
type Reader = Box<dyn Fn(&Context<'_>, &str) -> Result<Facts, Problem>>;

/// What reads the lines of the file of this name, without its ending; `None` for one that is not known here.
fn reader(stem: &str) -> Option<Reader> {
    Some(match stem {
        "kmsg" => rows(kernel::kmsg),
        "trace" => rows(kernel::trace),
        "cgroups" => rows(kernel::cgroups),
        "hello" => rows(kernel::hello),
        "procfs" => rows(kernel::procfs),
        "containerd_events" => rows(containerd::events),
        "cri_containers" => rows(cri::containers),
        "cri_events" => rows(cri::events),
        "cri_sandboxes" => rows(cri::sandboxes),
        "kubelet_healthz" => rows(kubelet::healthz),
        "kubelet_configz" => rows(kubelet::configz),
        "kubelet_summary" => rows(kubelet::summary),
        "kubelet_pods" => rows(kubelet::pods),
        "leases" => rows(api::leases),
        OBSERVED => rows(observed::observed),
        other => rows(api::watched(api::kind(other)?)),
    })
}

fn rows<R: DeserializeOwned>(read: impl Fn(&Context<'_>, R) -> Result<Facts, Problem> + 'static) -> Reader {
    Box::new(move |context, line| read(context, serde_json::from_str(line)?))
}

fn in_memory(contents: &str) -> impl Iterator<Item = io::Result<String>> {
    contents.lines().map(|line| Ok(line.to_owned()))
}

#[derive(Deserialize)]
struct At {
    #[serde(with = "nanoseconds")]
    t: Timestamp,
}

/// `kmsg` of `kmsg.ndjson`, `pod_logs` of whatever lies in that folder.
fn without_ending(file_name: &str) -> &str {
    file_name.split(['.', '/']).next().unwrap_or_default()
}

/// Unix time in nanoseconds.
mod nanoseconds {
    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

    pub(super) fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        i64::try_from(at.as_nanosecond()).map_err(ser::Error::custom)?.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        let nanoseconds = i64::deserialize(deserializer)?;
        Timestamp::from_nanosecond(i128::from(nanoseconds)).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
