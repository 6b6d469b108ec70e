//! How verdicts came about: what an examiner did, step by step, for `coroner replay --explain`.
//!
//! An examiner that was asked to explain keeps a [`Journal`]: why a verdict waited, which rule decided each revision,
//! what the other rules lacked, which sources were missing, why a file was closed. It changes no verdict, and the agent
//! keeps none. The texts are messages as those of diagnoses are.

use std::collections::{BTreeMap, VecDeque};

use coroner_proto::v1::{Cause, Diagnosis};
use jiff::Timestamp;

use crate::{
    aspect::Aspect,
    case::{Closing, Subject},
    messages::{Message, explain},
    observation::{self, Source},
};

/// Steps that are kept: the latest.
const STEPS: usize = 20_000;

/// A step in which an examiner reported, withheld or closed something.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// When it happened, by the clock of the observations.
    pub at: Timestamp,
    /// The container, pod or node that it concerns.
    pub subject: Subject,
    /// What happened in the step.
    pub what: What,
}

/// What happened in a step.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// A verdict was not reported yet.
    Held {
        /// What of the subject it is about.
        aspect: Aspect,
        /// Its cause.
        cause: Cause,
        /// The rules are asked again at this time.
        until: Timestamp,
        /// What it waits for.
        wait: Wait,
    },
    /// A revision was reported.
    Reported(Box<Reported>),
    /// The file was closed: what is observed later of the subject begins a new one.
    Closed(Closing),
}

/// What a verdict waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// It rests on the absence of reports: one may arrive late.
    Absence,
    /// The name of the container is not known yet.
    Name,
    /// Only a tracepoint has reported the kill: the line of the kernel log is still to be read.
    KernelLine,
    /// The container may end by the kill of its process.
    End,
    /// The state may still pass.
    Ripening,
}

/// A revision of a diagnosis, with what the rules concluded when it was reported.
#[derive(Clone, Debug, PartialEq)]
pub struct Reported {
    /// The uid of the diagnosis that was revised.
    pub uid: String,
    /// The number of the revision, from 1.
    pub revision: u32,
    /// What of the subject it is about.
    pub aspect: Aspect,
    /// The cause that this revision names.
    pub cause: Cause,
    /// Why this revision was reported.
    pub reason: Reason,
    /// All rules with their conclusions, in their order.
    pub rules: Vec<Considered>,
    /// What the rules knew of the end of a container.
    pub known: Vec<Message>,
    /// Sources that did not cover the moment, with the reason where one was reported.
    pub missing: Vec<(Source, Option<observation::Reason>)>,
}

/// Why a revision was reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The first report.
    First,
    /// It differs from the report before.
    Better,
    /// The state is over.
    Over,
    /// It has happened more often.
    Counted,
}

/// A rule, and what it concluded.
#[derive(Clone, Debug, PartialEq)]
pub struct Considered {
    /// The name of the rule, after its file in `diagnosis/src/rules`.
    pub rule: &'static str,
    /// What the rule concluded.
    pub conclusion: Conclusion,
}

/// What a rule concluded.
#[derive(Clone, Debug, PartialEq)]
pub enum Conclusion {
    /// It decided: the first that concluded something.
    Decided,
    /// It would have concluded this, had none before it.
    Also(Cause),
    /// It concluded nothing: what it needs was not observed.
    Lacks(Message),
}

/// The rules with what each concluded, in their order, by `conclude`: the first conclusion decides.
pub(crate) fn considered<R: Copy>(
    rules: impl IntoIterator<Item = (&'static str, R, fn() -> Message)>,
    conclude: impl Fn(R) -> Option<Cause>,
) -> Vec<Considered> {
    let mut decided = false;
    let consider = |(rule, of, needs): (&'static str, R, fn() -> Message)| {
        let conclusion = match conclude(of) {
            None => Conclusion::Lacks(needs()),
            Some(cause) if decided => Conclusion::Also(cause),
            Some(_) => Conclusion::Decided,
        };
        decided |= conclusion == Conclusion::Decided;
        Considered { rule, conclusion }
    };
    rules.into_iter().map(consider).collect()
}

impl Step {
    /// In words: a message for each line, and how deep the line is indented.
    pub fn lines(&self) -> Vec<(usize, Message)> {
        match &self.what {
            What::Held { cause, until, wait, .. } => {
                let why = match wait {
                    Wait::Absence => explain::wait_absence(),
                    Wait::Name => explain::wait_name(),
                    Wait::KernelLine => explain::wait_kernel_line(),
                    Wait::End => explain::wait_end(),
                    Wait::Ripening => explain::wait_ripening(),
                };
                vec![(0, explain::step_held(self.at, *cause, *until, why))]
            }
            What::Reported(reported) => self.lines_of(reported),
            What::Closed(closing) => {
                let why = match closing {
                    Closing::Ended => explain::closed_ended(),
                    Closing::Full => explain::closed_full(),
                    Closing::Refused => explain::closed_refused(),
                    Closing::Sandbox => explain::closed_sandbox(),
                };
                vec![(0, explain::step_closed(self.at, why))]
            }
        }
    }

    fn lines_of(&self, reported: &Reported) -> Vec<(usize, Message)> {
        let Reported { revision, cause, reason, rules, known, missing, .. } = reported;
        let why = match reason {
            Reason::First => explain::revised_first(),
            Reason::Better => explain::revised_better(),
            Reason::Over => explain::revised_over(),
            Reason::Counted => explain::revised_counted(),
        };
        let of_rule = |Considered { rule, conclusion }: &Considered| match conclusion {
            Conclusion::Decided => explain::rule_decided(rule),
            Conclusion::Also(cause) => explain::rule_also(rule, *cause),
            Conclusion::Lacks(needs) => explain::rule_lacks(rule, needs.clone()),
        };
        let of_source = |(source, reason): &(Source, Option<observation::Reason>)| match reason {
            None => explain::source_missing(source.name()),
            Some(reason) => explain::source_missing_because(source.name(), reason.clone().phrase()),
        };
        let details = known.iter().cloned().chain(rules.iter().map(of_rule)).chain(missing.iter().map(of_source));
        let first = explain::step_reported(self.at, *revision, *cause, why);
        std::iter::once((0, first)).chain(details.map(|detail| (1, detail))).collect()
    }
}

/// An aspect by what is known of it first: a kill by its pid, before its line of the kernel log has been read.
fn unwritten(aspect: &Aspect) -> Aspect {
    match aspect {
        Aspect::Process { pid, .. } => Aspect::Process { pid: *pid, boot_micros: None },
        other => other.clone(),
    }
}

/// The steps that led to a diagnosis: those about the same aspect, and the end of its file.
pub fn of_diagnosis<'s>(steps: &'s [Step], diagnosis: &Diagnosis) -> Vec<&'s Step> {
    let aspect_of = |step: &'s Step| match &step.what {
        What::Reported(reported) if reported.uid == diagnosis.uid => Some((&step.subject, &reported.aspect)),
        _ => None,
    };
    let Some((subject, of)) = steps.iter().find_map(aspect_of) else { return Vec::new() };
    let concerns = |step: &&Step| {
        step.subject == *subject
            && match &step.what {
                What::Held { aspect, .. } => unwritten(aspect) == unwritten(of),
                What::Reported(reported) => reported.uid == diagnosis.uid,
                What::Closed(_) => true,
            }
    };
    steps.iter().filter(concerns).collect()
}

/// The verdicts that were held and never reported, the last of each aspect.
pub fn withheld(steps: &[Step]) -> Vec<&Step> {
    let mut last = BTreeMap::new();
    for step in steps {
        match &step.what {
            What::Held { aspect, .. } => last.insert((&step.subject, unwritten(aspect)), step),
            What::Reported(reported) => last.remove(&(&step.subject, unwritten(&reported.aspect))),
            What::Closed(_) => None,
        };
    }
    last.into_values().collect()
}

/// The steps of one examiner.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    steps: VecDeque<Step>,
    /// What was last held, so that each wait is one step however often the rules are asked.
    held: BTreeMap<(Subject, Aspect), (Cause, Wait)>,
}

impl Journal {
    /// Records a wait, unless it is the same as before.
    pub(crate) fn hold(
        &mut self,
        at: Timestamp,
        subject: &Subject,
        aspect: &Aspect,
        (cause, until, wait): (Cause, Timestamp, Wait),
    ) {
        if self.held.insert((subject.clone(), unwritten(aspect)), (cause, wait)) != Some((cause, wait)) {
            let what = What::Held { aspect: aspect.clone(), cause, until, wait };
            self.push(Step { at, subject: subject.clone(), what });
        }
    }

    pub(crate) fn report(&mut self, at: Timestamp, subject: &Subject, reported: Reported) {
        self.held.remove(&(subject.clone(), unwritten(&reported.aspect)));
        self.push(Step { at, subject: subject.clone(), what: What::Reported(Box::new(reported)) });
    }

    pub(crate) fn close(&mut self, at: Timestamp, subject: &Subject, closing: Closing) {
        self.held.retain(|(of, _), _| of != subject);
        self.push(Step { at, subject: subject.clone(), what: What::Closed(closing) });
    }

    fn push(&mut self, step: Step) {
        if self.steps.len() == STEPS {
            self.steps.pop_front();
        }
        self.steps.push_back(step);
    }

    pub(crate) fn into_steps(self) -> Vec<Step> {
        self.steps.into()
    }
}
