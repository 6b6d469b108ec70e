//! A verdict: what a rule concludes from a case file, before it is reported as a diagnosis.

use std::collections::BTreeSet;

use coroner_proto::v1::{Cause, Confidence, Exit, Memory, Message, Process, StopRequester};
use jiff::Timestamp;

use crate::{
    aspect::Aspect,
    observation::{Reason, Source, cri::Pod},
    redact,
};

/// Longest quoted statement, in bytes.
const QUOTE: usize = 1024;
/// Most pieces of evidence for a verdict, and most against its alternatives; those that were added first decide.
const PIECES: usize = 8;
/// Related containers of one verdict.
const RELATED: usize = 32;
/// Most messages of an explanation.
const SENTENCES: usize = 8;

/// What a source stated.
#[derive(Clone, Debug, PartialEq)]
pub enum Statement {
    /// In the source's own text and notation, control characters escaped, at most 1 KiB.
    Quote(String),
    /// What follows from what it observed, worded by the catalogues.
    Message(Message),
}

impl From<&str> for Statement {
    fn from(text: &str) -> Self {
        Self::Quote(redact::cut(text.trim_end(), QUOTE))
    }
}

impl From<String> for Statement {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl From<&String> for Statement {
    fn from(text: &String) -> Self {
        text.as_str().into()
    }
}

impl From<Message> for Statement {
    fn from(message: Message) -> Self {
        Self::Message(message)
    }
}

impl From<&Reason> for Statement {
    fn from(reason: &Reason) -> Self {
        match reason {
            Reason::Quote(text) => text.into(),
            Reason::Message(message) => message.clone().into(),
        }
    }
}

/// A piece of evidence: what a source stated, and when.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    /// The interface of the node or the cluster that stated it.
    pub source: Source,
    /// When it happened, by the clock of the node.
    pub at: Timestamp,
    /// What the source observed.
    pub statement: Statement,
}

impl Evidence {
    /// The evidence that this source stated this at this time.
    pub fn new(source: Source, at: Timestamp, statement: impl Into<Statement>) -> Self {
        Self { source, at, statement: statement.into() }
    }
}

/// A container of another pod, and its part in the event.
#[derive(Clone, Debug, PartialEq)]
pub struct Related {
    /// The namespace of the pod; empty if the pod is not known.
    pub namespace: String,
    /// The name of the pod; empty if it is not known.
    pub pod: String,
    /// The name of the container; empty for a pod as a whole.
    pub container: String,
    /// What was observed of it, where that is not the same for all.
    pub evidence: Option<Evidence>,
}

impl Related {
    /// A pod as a whole, without evidence of its own.
    pub fn pod(namespace: impl Into<String>, pod: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), pod: pod.into(), container: String::new(), evidence: None }
    }

    /// This container of this pod, if its pod is known.
    pub fn new(pod: Option<&Pod>, container: impl Into<String>, evidence: Evidence) -> Self {
        let (namespace, pod) = pod.map(|pod| (pod.namespace.clone(), pod.name.clone())).unwrap_or_default();
        Self { namespace, pod, container: container.into(), evidence: Some(evidence) }
    }
}

/// The kill of one of its processes that a container ended by.
#[derive(Clone, Debug, PartialEq)]
pub struct Begun {
    /// The aspect under which the kill is reported while the container runs.
    pub aspect: Aspect,
    /// When the process was killed, by the node's clock.
    pub at: Timestamp,
}

/// What a rule concludes of a death or state.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// The cause that the rule concludes.
    pub cause: Cause,
    /// Causes that made it possible or likely, without being the cause: a CPU limit that slowed a probe down.
    pub contributing: BTreeSet<Cause>,
    /// How certain the cause is, by what was observed.
    pub confidence: Confidence,
    /// Whether a container instance or a pod ended by it.
    pub fatal: bool,
    /// When it happened, by the node's clock.
    pub at: Timestamp,
    /// The kill of a child that the container then ended by: both are one diagnosis.
    pub begun_by: Option<Begun>,
    /// How the container or process ended.
    pub exit: Option<Exit>,
    /// The process that was killed or crashed, or the main process.
    pub process: Option<Process>,
    /// Other processes that the kernel killed together with it.
    pub other_victims: Vec<Process>,
    /// Limits and usage of memory at that time, of a kill for memory.
    pub memory: Option<Memory>,
    /// On whose behalf the container was stopped.
    pub requested_by: StopRequester,
    /// The headline, at most 80 characters.
    pub headline: Message,
    /// What happened, who acted and the numbers: a message for each sentence or two.
    pub explanation: Vec<Message>,
    /// Observations that support the cause.
    pub evidence: Vec<Evidence>,
    /// Observations that rule out the alternatives.
    pub against: Vec<Evidence>,
    /// Causes that remain possible, each with what would decide it.
    pub candidates: Vec<(Cause, Message)>,
    /// Other pods that took part: only here may a verdict name one, since not every reader may see its namespace.
    pub related: Vec<Related>,
    /// What to do next, instead of what the catalogue suggests for the cause; empty where that is right.
    pub next: Vec<Message>,
    /// The last lines of the container's log, the oldest first.
    pub last_lines: Vec<String>,
    /// Sources that were absent or had gaps, and would have reported more.
    pub missing: BTreeSet<Source>,
    /// It rests on the absence of reports, so it must wait until that has lasted.
    pub waits: bool,
    /// It is normal until then: so long its severity is INFO.
    pub usual_until: Option<Timestamp>,
}

impl Verdict {
    /// A verdict of this cause, fatal, without evidence yet.
    pub fn new(cause: Cause, confidence: Confidence, at: Timestamp) -> Self {
        Self {
            cause,
            contributing: BTreeSet::new(),
            confidence,
            fatal: true,
            at,
            begun_by: None,
            exit: None,
            process: None,
            other_victims: Vec::new(),
            memory: None,
            requested_by: StopRequester::Unspecified,
            headline: Message::default(),
            explanation: Vec::new(),
            evidence: Vec::new(),
            against: Vec::new(),
            candidates: Vec::new(),
            related: Vec::new(),
            next: Vec::new(),
            last_lines: Vec::new(),
            missing: BTreeSet::new(),
            waits: false,
            usual_until: None,
        }
    }

    /// The verdict with this headline.
    #[must_use]
    pub fn headed(mut self, headline: Message) -> Self {
        self.headline = headline;
        self
    }

    /// Replaces what the catalogue suggests for the cause by this step, if there is one.
    #[must_use]
    pub fn next(mut self, step: impl Into<Option<Message>>) -> Self {
        self.next.extend(step.into());
        self
    }

    /// Adds a sentence to the explanation, if there is one and there is space for it.
    #[must_use]
    pub fn explained(mut self, sentence: impl Into<Option<Message>>) -> Self {
        self.explanation.extend(sentence.into());
        self.explanation.truncate(SENTENCES);
        self
    }

    /// The verdict with one more observation that supports it.
    #[must_use]
    pub fn supported_by(self, source: Source, at: Timestamp, statement: impl Into<Statement>) -> Self {
        self.supported([Evidence::new(source, at, statement)])
    }

    /// The verdict with these further observations that support it.
    #[must_use]
    pub fn supported(mut self, evidence: impl IntoIterator<Item = Evidence>) -> Self {
        self.evidence.extend(evidence);
        self.evidence.truncate(PIECES);
        self
    }

    /// Something that rules out an alternative, or a statement that is contradicted.
    #[must_use]
    pub fn against(mut self, source: Source, at: Timestamp, statement: impl Into<Statement>) -> Self {
        self.against.push(Evidence::new(source, at, statement));
        self.against.truncate(PIECES);
        self
    }

    /// The verdict with a cause that contributed to it.
    #[must_use]
    pub fn with(mut self, contributing: Cause) -> Self {
        self.contributing.insert(contributing);
        self
    }

    /// The verdict as one about a state: no container or pod ended by it.
    #[must_use]
    pub fn not_fatal(mut self) -> Self {
        self.fatal = false;
        self
    }

    /// A cause that remains possible, and what would decide it.
    #[must_use]
    pub fn or_else(mut self, cause: Cause, decided_by: Message) -> Self {
        self.candidates.push((cause, decided_by));
        self
    }

    /// A container of another pod that took part, and what was observed of it.
    #[must_use]
    pub fn related_to(mut self, related: Related) -> Self {
        self.related.push(related);
        self.related.truncate(RELATED);
        self
    }

    /// A source that was absent or had gaps, and would have reported more.
    #[must_use]
    pub fn without(mut self, source: Source) -> Self {
        self.missing.insert(source);
        self
    }

    /// The verdict as one that rests on the absence of reports, and so waits for late ones.
    #[must_use]
    pub fn waiting(mut self) -> Self {
        self.waits = true;
        self
    }

    /// Normal until then, as of a container that starts slowly.
    #[must_use]
    pub fn usual_until(mut self, until: Option<Timestamp>) -> Self {
        self.usual_until = until;
        self
    }

    /// Whether a reader who knows `other` already needs this one at once.
    pub fn differs_from(&self, other: &Self) -> bool {
        (self.cause, self.confidence, self.fatal, self.requested_by, self.usual_until.is_some())
            != (other.cause, other.confidence, other.fatal, other.requested_by, other.usual_until.is_some())
            || self.contributing != other.contributing
            || self.exit != other.exit
            || self.process.as_ref().map(|p| p.pid) != other.process.as_ref().map(|p| p.pid)
            || self.memory.as_ref().map(|m| m.scope) != other.memory.as_ref().map(|m| m.scope)
            || self.is_of_another_kind(other)
    }

    /// Which certificate has expired, and in which direction a clock is wrong, the cause alone does not show.
    fn is_of_another_kind(&self, other: &Self) -> bool {
        matches!(self.cause, Cause::CertificateExpired | Cause::ClockSkewed) && self.headline.id != other.headline.id
    }
}
