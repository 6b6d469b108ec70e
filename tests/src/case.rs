//! Recorded cases with their truth, and how verdicts are compared with it: the same measure as `tests/corpus/score`.

use std::{collections::BTreeMap, fs, io, path::PathBuf, sync::LazyLock};

use anyhow::{Context, Result};
use coroner_cli::case_dir::{CaseDir, Lines};
use coroner_diagnosis::{
    observation::Observation,
    recording::Recording,
    replay::{replay, replay_with_guest},
};
use coroner_proto::v1::{Cause, Confidence, Diagnosis, Node, Subject, SubjectKind};
use regex::{Captures, Regex};
use serde_json::Value;

/// A recorded case.
#[derive(Debug)]
pub struct Case {
    /// Its name: that of its folder.
    pub name: String,
    /// Its clocks and names.
    pub recording: Recording,
    /// The text of each file, by its name.
    files: BTreeMap<String, String>,
    truth: Vec<Value>,
    also: Vec<Value>,
    never: Vec<Value>,
}

impl Case {
    /// Those that were recorded on a cluster of our own, in order of their names.
    ///
    /// # Errors
    /// If one cannot be read.
    pub fn all() -> Result<Vec<Self>> {
        Self::in_folder("cases")
    }

    /// Those that were rebuilt: from public reports, of a single message each, and from documented texts.
    ///
    /// # Errors
    /// If one cannot be read.
    pub fn rebuilt() -> Result<Vec<Self>> {
        let folders = ["wild/cases", "wild/messages", "made"].into_iter().map(Self::in_folder);
        Ok(folders.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
    }

    /// Faults of whole nodes, with what the second node recorded itself.
    ///
    /// # Errors
    /// If one cannot be read.
    pub fn of_nodes() -> Result<Vec<Self>> {
        Self::in_folder("nodes")
    }

    fn in_folder(name: &str) -> Result<Vec<Self>> {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
        let listing = || format!("listing {}", folder.display());
        let mut paths = fs::read_dir(&folder)
            .with_context(listing)?
            .map(|entry| Ok(entry.with_context(listing)?.path()))
            .collect::<Result<Vec<_>>>()?;
        paths.sort();
        paths.into_iter().map(Self::read).collect()
    }

    /// The same case as it happens another time, to pods of other names and ids, in a namespace of their own. Pids and
    /// times are the same, and so is the node.
    ///
    /// # Errors
    /// If what is made is no case any more.
    pub fn again(&self) -> Result<Self> {
        let namespace = format!("{}-again", self.recording.namespace);
        let files = self.files.iter().map(|(name, text)| {
            let of_node = ["nodes", "leases", "node_events", "kubelet_configz"].contains(&stem(name));
            let text =
                if of_node { text.clone() } else { other_ids(text).replace(&self.recording.namespace, &namespace) };
            (other_ids(name).replace(&self.recording.namespace, &namespace), text)
        });
        Ok(Self {
            name: self.name.clone(),
            recording: Recording { namespace: namespace.clone(), ..self.recording.clone() },
            files: files.collect(),
            truth: self.truth.clone(),
            also: self.also.clone(),
            never: self.never.clone(),
        })
    }

    fn read(path: PathBuf) -> Result<Self> {
        let dir = CaseDir::read(&path)?;
        let json: Value = serde_json::from_str(&dir.case_json).with_context(|| path.display().to_string())?;
        let text = |(name, lines): (String, Lines)| Ok((name, lines.collect::<io::Result<Vec<_>>>()?.join("\n")));
        let files = dir.files().map(text).collect::<Result<_>>().with_context(|| path.display().to_string())?;
        let list = |key: &str| json[key].as_array().cloned().unwrap_or_default();
        Ok(Self {
            name: path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
            recording: Recording::new(&dir.case_json)?,
            truth: list("truth"),
            also: list("also"),
            never: list("never"),
            files,
        })
    }

    /// What the case would lead to if its objects had other names: each pair is what is replaced, and by what.
    ///
    /// # Errors
    /// If a line cannot be used.
    pub fn diagnoses_renamed(&self, names: &[(&str, &str)]) -> Result<Vec<Diagnosis>> {
        let rename = |text: &str| names.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to));
        let files: Vec<_> = self.files.iter().map(|(name, text)| (rename(name), rename(text))).collect();
        let files = files.iter().map(|(name, text)| (name.as_str(), text.as_str()));
        let observations = self.recording.observations(files)?;
        let mut diagnoses = replay(Node::from(&self.recording.node), observations, self.recording.end);
        let namespace = rename(&self.recording.namespace);
        diagnoses.retain(|diagnosis| is_in(diagnosis, &namespace));
        Ok(diagnoses)
    }

    /// All that was seen, in the order in which it was seen.
    ///
    /// # Errors
    /// If a line cannot be used.
    pub fn observations(&self) -> Result<Vec<Observation>> {
        self.observations_without("")
    }

    /// The same where one file was never recorded.
    ///
    /// # Errors
    /// If a line cannot be used.
    pub fn observations_without(&self, file: &str) -> Result<Vec<Observation>> {
        let files = self.files.iter().filter(|(name, _)| stem(name) != file);
        Ok(self.recording.observations(files.map(|(name, text)| (name.as_str(), text.as_str())))?)
    }

    /// The last revisions of what these observations lead to, about the case's own namespace, nodes and the cluster.
    pub fn diagnoses(&self, observations: Vec<Observation>) -> Vec<Diagnosis> {
        let mut diagnoses = replay(Node::from(&self.recording.node), observations, self.recording.end);
        diagnoses.retain(|diagnosis| is_in(diagnosis, &self.recording.namespace));
        diagnoses
    }

    /// The last revisions of what both nodes and the control plane recorded, about the case's own namespace and the
    /// nodes.
    ///
    /// # Errors
    /// If a line cannot be used.
    pub fn diagnoses_of_nodes(&self) -> Result<Vec<Diagnosis>> {
        let lines = |(name, text): (&String, &String)| {
            let lines: Vec<io::Result<String>> = text.lines().map(|line| Ok(line.to_owned())).collect();
            (name.clone(), lines.into_iter())
        };
        let guest = self.recording.guest_stream(self.files.iter().map(lines)).context("there is no second node")?;
        let guest = guest.collect::<Result<Vec<_>, _>>()?;
        let node = Node::from(&self.recording.node);
        let mut diagnoses =
            replay_with_guest(node, self.observations()?, self.recording.booted(), guest, self.recording.end);
        diagnoses.retain(|diagnosis| is_in(diagnosis, &self.recording.namespace));
        Ok(diagnoses)
    }

    /// Truths that no diagnosis gives in full.
    pub fn missed(&self, diagnoses: &[Diagnosis]) -> Vec<String> {
        let given = |truth: &&Value| diagnoses.iter().any(|d| is_of(d, truth) && agrees(d, truth));
        self.truth.iter().filter(|truth| !given(truth)).map(Value::to_string).collect()
    }

    /// Diagnoses with a false accusation.
    pub fn accused(&self, diagnoses: &[Diagnosis]) -> Vec<String> {
        let forbidden = |d: &&Diagnosis| {
            self.truth.is_empty()
                || self.never.iter().any(|never| {
                    let cause = never.as_str().or_else(|| never["cause"].as_str()).unwrap_or_default();
                    let only_certain = never["certain"].as_bool().unwrap_or_default();
                    bare(d.cause()) == cause
                        && never["fatal"].as_bool().is_none_or(|fatal| fatal == d.fatal)
                        && (!only_certain || d.confidence() == Confidence::Certain)
                })
        };
        diagnoses.iter().filter(forbidden).map(describe).collect()
    }

    /// Diagnoses that neither a truth nor what is fine beside it accounts for.
    pub fn unaccounted(&self, diagnoses: &[Diagnosis]) -> Vec<String> {
        let accounted = |d: &&Diagnosis| self.truth.iter().chain(&self.also).any(|truth| is_of(d, truth));
        diagnoses.iter().filter(|d| !accounted(d)).map(describe).collect()
    }

    /// Diagnoses that are neither true, nor fine, nor coarser but honest about it.
    pub fn wrong(&self, diagnoses: &[Diagnosis]) -> Vec<String> {
        let accounted = |d: &Diagnosis| {
            d.cause() == Cause::Unattributed
                || self.truth.iter().chain(&self.also).any(|truth| is_of(d, truth))
                || self.truth.iter().any(|truth| coarser(d, truth))
        };
        diagnoses.iter().filter(|d| !accounted(d)).map(describe).collect()
    }
}

/// `kmsg` of `kmsg.ndjson`, `pod_logs` of whatever lies in that folder.
fn stem(name: &str) -> &str {
    name.split(['.', '/']).next().unwrap_or_default()
}

/// Another id for each container id (64 hex digits) and each uid (a UUID, in names of systemd's cgroups with
/// underscores).
fn other_ids(text: &str) -> String {
    static IDS: LazyLock<Regex> = LazyLock::new(|| {
        let uuid = "[0-9a-f]{8}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{12}";
        Regex::new(&format!("[0-9a-f]{{64}}|{uuid}")).unwrap_or_else(|error| panic!("a fixed pattern: {error}"))
    });
    let next = |c: char| c.to_digit(16).map_or(c, |digit| char::from_digit((digit + 1) % 16, 16).unwrap_or(c));
    IDS.replace_all(text, |found: &Captures<'_>| found[0].chars().map(next).collect::<String>()).into_owned()
}

/// Whether a diagnosis is about this namespace, a node or the cluster.
fn is_in(diagnosis: &Diagnosis, namespace: &str) -> bool {
    let is_mine = |subject: &Subject| {
        subject.namespace == namespace || matches!(subject.kind(), SubjectKind::Node | SubjectKind::Cluster)
    };
    diagnosis.subject.as_ref().is_some_and(is_mine)
}

fn bare(cause: Cause) -> &'static str {
    cause.as_str_name().trim_start_matches("CAUSE_")
}

fn describe(d: &Diagnosis) -> String {
    let subject = d.subject.clone().unwrap_or_default();
    let confidence = d.confidence().as_str_name();
    format!("{} {confidence} {}/{} fatal={} {:?}", bare(d.cause()), subject.name, subject.container, d.fatal, d.exit)
}

/// Whether a diagnosis names the cause and subject of a truth.
fn is_of(d: &Diagnosis, truth: &Value) -> bool {
    truth["cause"] == bare(d.cause()) && about(d, truth)
}

fn about(d: &Diagnosis, truth: &Value) -> bool {
    let subject = d.subject.clone().unwrap_or_default();
    let text = |key: &str| truth[key].as_str().unwrap_or_default();
    for key in ["node", "service", "ingress", "workload"] {
        if !text(key).is_empty() {
            // A workload may be named by its ReplicaSet.
            let prefix = format!("{}-", text(key));
            return subject.name == text(key) || key == "workload" && subject.name.starts_with(&prefix);
        }
    }
    let pod = text("pod");
    let named = if pod.is_empty() || pod.ends_with('-') { subject.name.starts_with(pod) } else { subject.name == pod };
    named && (text("container").is_empty() || subject.container == text("container"))
}

/// Whether a diagnosis agrees with all that a truth names beside cause and subject.
fn agrees(d: &Diagnosis, truth: &Value) -> bool {
    let exit = d.exit.clone().unwrap_or_default();
    let number = |key: &str, actual: i32| truth[key].as_i64().is_none_or(|expected| expected == i64::from(actual));
    let subject = d.subject.clone().unwrap_or_default();
    let kind = subject.container_kind().as_str_name().trim_start_matches("CONTAINER_KIND_").to_lowercase();
    let contributing = |expected: &str| d.contributing().any(|cause| bare(cause) == expected);
    truth["fatal"].as_bool().is_none_or(|fatal| fatal == d.fatal)
        && number("exit_code", exit.code)
        && number("signal", exit.signal)
        && truth["container_kind"].as_str().is_none_or(|expected| expected == kind)
        && truth["contributing"].as_str().is_none_or(contributing)
}

/// Whether a diagnosis is one of the coarser verdicts that are correct, if less than certain, where a deciding source
/// is missing.
fn coarser(d: &Diagnosis, truth: &Value) -> bool {
    const STOPPED: &[Cause] = &[Cause::StoppedByRequest, Cause::GracePeriodExceeded];
    let allowed: &[Cause] = match truth["cause"].as_str().unwrap_or_default() {
        "EVICTED_BY_API"
        | "EVICTED_BY_TAINT"
        | "PREEMPTED"
        | "DEADLINE_EXCEEDED"
        | "EVICTED_MEMORY"
        | "EVICTED_DISK"
        | "EVICTED_INODES"
        | "EVICTED_PIDS"
        | "EVICTED_EPHEMERAL_STORAGE_LIMIT"
        | "LIVENESS_PROBE_FAILED"
        | "STARTUP_PROBE_FAILED"
        | "POST_START_HOOK_FAILED"
        | "PRE_STOP_HOOK_FAILED"
        | "STUCK_ON_FINALIZER"
        | "STUCK_ON_PROCESS"
        | "STOPPED_BY_RESTART_RULE" => STOPPED,
        "COMMAND_NOT_FOUND"
        | "COMMAND_NOT_EXECUTABLE"
        | "WRONG_ARCHITECTURE"
        | "READ_ONLY_VOLUME"
        | "CRASH_SEGFAULT"
        | "CRASH_BUS_ERROR"
        | "CRASH_SECCOMP" => &[Cause::ApplicationExit],
        "CRASH_ABORT" => &[Cause::CrashSegfault, Cause::ApplicationExit],
        _ => &[],
    };
    let subject = d.subject.clone().unwrap_or_default();
    let pod = truth["pod"].as_str().unwrap_or_default();
    let named = if pod.is_empty() || pod.ends_with('-') { subject.name.starts_with(pod) } else { subject.name == pod };
    allowed.contains(&d.cause()) && named && d.confidence() != Confidence::Certain
}
