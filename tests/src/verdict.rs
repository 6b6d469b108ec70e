//! The verdict that a test expects, and its comparison with what was reported.

use coroner_proto::v1::{Cause, Confidence, Diagnosis, SubjectKind};

use crate::kubelet::{Container, Pod};

/// One diagnosis that a test expects about a container.
#[derive(Clone, Debug)]
pub struct Verdict {
    pod: Pod,
    container: Container,
    cause: Cause,
    fatal: bool,
    confidence: Confidence,
    exit_code: Option<i32>,
    signal: Option<i32>,
    measured: bool,
}

impl Verdict {
    /// That the pod's only container ended by `cause`, for certain.
    ///
    /// # Panics
    /// If the pod has several containers.
    pub fn fatal(pod: &Pod, cause: Cause) -> Self {
        Self::about(pod, pod.only_container(), cause, true)
    }

    /// That the pod's only container lives on, but suffered `cause`, for certain.
    ///
    /// # Panics
    /// If the pod has several containers.
    pub fn survived(pod: &Pod, cause: Cause) -> Self {
        Self::about(pod, pod.only_container(), cause, false)
    }

    /// The same about any container.
    pub fn about(pod: &Pod, container: &Container, cause: Cause, fatal: bool) -> Self {
        let (pod, container) = (pod.clone(), container.clone());
        let confidence = Confidence::Certain;
        Self { pod, container, cause, fatal, confidence, exit_code: None, signal: None, measured: false }
    }

    /// With this exit code.
    #[must_use]
    pub fn exit_code(self, code: i32) -> Self {
        Self { exit_code: Some(code), ..self }
    }

    /// With this signal as its end; 0: it ended by itself.
    #[must_use]
    pub fn signal(self, signal: i32) -> Self {
        Self { signal: Some(signal), ..self }
    }

    /// With the memory of the killed process, which the kernel log alone states; it may be read after the first report.
    #[must_use]
    pub fn measured(self) -> Self {
        Self { measured: true, ..self }
    }

    /// At least this certain, where the node has no source that observes the mechanism itself.
    #[must_use]
    pub fn at_least(self, confidence: Confidence) -> Self {
        Self { confidence, ..self }
    }

    /// Whether `diagnosis` is about this container's instance, or about its pod as a whole.
    pub(crate) fn concerns(&self, diagnosis: &Diagnosis) -> bool {
        let uid = diagnosis.pod.as_ref().map(|pod| pod.uid.as_str());
        let id = diagnosis.container.as_ref().map(|container| container.id.as_str());
        uid == Some(&self.pod.uid) && id.is_none_or(|id| id.is_empty() || id == self.container.id)
    }

    /// What in `diagnosis` is not as expected; empty if it is what was expected.
    pub(crate) fn differences(&self, diagnosis: &Diagnosis) -> Vec<String> {
        let mut differences = vec![];
        let mut compare = |field: &str, expected: String, actual: String| {
            if expected != actual {
                differences.push(format!("{field}: expected {expected}, reported {actual}"));
            }
        };
        let subject = diagnosis.subject.clone().unwrap_or_default();
        let exit = diagnosis.exit.clone().unwrap_or_default();
        let actual_id = diagnosis.container.as_ref().map_or("", |container| container.id.as_str());
        compare("cause", self.cause.as_str_name().into(), diagnosis.cause().as_str_name().into());
        compare("fatal", self.fatal.to_string(), diagnosis.fatal.to_string());
        compare("subject.kind", SubjectKind::Container.as_str_name().into(), subject.kind().as_str_name().into());
        compare("subject.namespace", self.pod.namespace.clone(), subject.namespace);
        compare("subject.name", self.pod.name.clone(), subject.name);
        compare("subject.container", self.container.name.clone(), subject.container);
        compare("container.id", self.container.id.clone(), actual_id.into());
        if let Some(code) = self.exit_code {
            compare("exit.code", code.to_string(), exit.code.to_string());
        }
        if let Some(signal) = self.signal {
            compare("exit.signal", signal.to_string(), exit.signal.to_string());
        }
        let memory = diagnosis.process.as_ref().and_then(|process| process.anon_rss_bytes);
        if self.measured && memory.is_none() {
            compare("process.anon_rss_bytes", "some".into(), "none".into());
        }
        if diagnosis.confidence < self.confidence as i32 {
            compare("confidence", self.confidence.as_str_name().into(), diagnosis.confidence().as_str_name().into());
        }
        differences
    }

    /// Whether it expects this cause.
    pub(crate) fn has_cause(&self, cause: Cause) -> bool {
        self.cause == cause
    }

    /// In one line.
    pub fn describe(&self) -> String {
        let fatal = if self.fatal { "fatal" } else { "not fatal" };
        format!("{}/{} {} {fatal}", self.pod.name, self.container.name, self.cause.as_str_name())
    }
}

/// A diagnosis in a few lines, for people who look for what went wrong.
pub fn describe(diagnosis: &Diagnosis) -> String {
    let subject = diagnosis.subject.clone().unwrap_or_default();
    let exit = diagnosis.exit.as_ref().map_or_else(
        || "no exit".to_owned(),
        |exit| format!("exit {} signal {} ({})", exit.code, exit.signal, exit.reported_reason),
    );
    let mut text = format!(
        "{}/{} {} {} fatal={} {exit} revision {} uid {}\n    {}",
        subject.name,
        subject.container,
        diagnosis.cause().as_str_name(),
        diagnosis.confidence().as_str_name(),
        diagnosis.fatal,
        diagnosis.revision,
        diagnosis.uid,
        diagnosis.summary,
    );
    for (sign, evidence) in [("+", &diagnosis.evidence), ("-", &diagnosis.against)] {
        for piece in evidence {
            text.push_str(&format!("\n    {sign} {}: {}", piece.source, piece.text));
        }
    }
    for candidate in &diagnosis.candidates {
        text.push_str(&format!("\n    ? {}: {}", candidate.cause().as_str_name(), candidate.reason));
    }
    if !diagnosis.missing_sources.is_empty() {
        text.push_str(&format!("\n    missing: {}", diagnosis.missing_sources.join(", ")));
    }
    text
}
