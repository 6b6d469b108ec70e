//! A verdict: what a rule concludes from a case file, before it is told as a diagnosis.

use std::collections::BTreeSet;

use coroner_proto::v1::{Candidate, Cause, Confidence, Evidence, Exit, Memory, Process, StopRequester};
use jiff::Timestamp;

use crate::{observation::Source, text, wire};

/// Longest text of one piece of evidence, in bytes.
const EVIDENCE: usize = 1024;
/// Most pieces of evidence of one kind; the earliest said are the deciding ones.
const PIECES: usize = 8;

/// What a rule concludes.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// Why.
    pub cause: Cause,
    /// What explains it without being the cause.
    pub contributing: BTreeSet<Cause>,
    /// How sure.
    pub confidence: Confidence,
    /// A container instance ended by it.
    pub fatal: bool,
    /// When it happened.
    pub at: Timestamp,
    /// How the container or process ended.
    pub exit: Option<Exit>,
    /// The process that it is about.
    pub process: Option<Process>,
    /// Others that fell with it.
    pub other_victims: Vec<Process>,
    /// Memory at the time.
    pub memory: Option<Memory>,
    /// Who asked for the stop.
    pub requested_by: StopRequester,
    /// One sentence for people.
    pub summary: String,
    /// A few more.
    pub explanation: String,
    /// For it.
    pub evidence: Vec<Evidence>,
    /// Against the alternatives.
    pub against: Vec<Evidence>,
    /// What remains possible.
    pub candidates: Vec<Candidate>,
    /// Sources that would have told more.
    pub missing: BTreeSet<Source>,
    /// It rests on somebody's silence, so it must wait until that silence has lasted.
    pub waits: bool,
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
            exit: None,
            process: None,
            other_victims: Vec::new(),
            memory: None,
            requested_by: StopRequester::Unspecified,
            summary: String::new(),
            explanation: String::new(),
            evidence: Vec::new(),
            against: Vec::new(),
            candidates: Vec::new(),
            missing: BTreeSet::new(),
            waits: false,
        }
    }

    /// In words: one sentence, then a few more. What containers' owners chose in them must have been cleaned.
    #[must_use]
    pub fn told(mut self, summary: impl Into<String>, explanation: impl Into<String>) -> Self {
        self.summary = text::clean(&summary.into(), 200);
        self.explanation = text::clean(&explanation.into(), 2048);
        self
    }

    /// Something that speaks for it.
    #[must_use]
    pub fn by(mut self, source: Source, at: Timestamp, said: impl AsRef<str>) -> Self {
        if self.evidence.len() < PIECES {
            self.evidence.push(evidence(source, at, said.as_ref()));
        }
        self
    }

    /// Something that rules out an alternative, or a witness that is contradicted.
    #[must_use]
    pub fn against(mut self, source: Source, at: Timestamp, said: impl AsRef<str>) -> Self {
        if self.against.len() < PIECES {
            self.against.push(evidence(source, at, said.as_ref()));
        }
        self
    }

    /// Something that explains it without being the cause.
    #[must_use]
    pub fn with(mut self, contributing: Cause) -> Self {
        self.contributing.insert(contributing);
        self
    }

    /// Nothing ended by it.
    #[must_use]
    pub fn not_fatal(mut self) -> Self {
        self.fatal = false;
        self
    }

    /// A cause that remains possible.
    #[must_use]
    pub fn or_else(mut self, cause: Cause, reason: &str) -> Self {
        self.candidates.push(Candidate { cause: cause.into(), reason: reason.to_owned() });
        self
    }

    /// A source that would have told more and was not there.
    #[must_use]
    pub fn without(mut self, source: Source) -> Self {
        self.missing.insert(source);
        self
    }

    /// Rests on silence.
    #[must_use]
    pub fn waiting(mut self) -> Self {
        self.waits = true;
        self
    }

    /// Whether a reader who knows `other` already needs to hear of this one at once.
    pub fn differs_from(&self, other: &Self) -> bool {
        (self.cause, self.confidence, self.fatal, self.requested_by)
            != (other.cause, other.confidence, other.fatal, other.requested_by)
            || self.contributing != other.contributing
            || self.exit != other.exit
            || self.process.as_ref().map(|p| p.pid) != other.process.as_ref().map(|p| p.pid)
            || self.memory.as_ref().map(|m| m.scope) != other.memory.as_ref().map(|m| m.scope)
    }
}

fn evidence(source: Source, at: Timestamp, said: &str) -> Evidence {
    Evidence {
        source: source.name().to_owned(),
        time: Some(wire::time(at)),
        text: text::clean(said.trim_end(), EVIDENCE),
    }
}
