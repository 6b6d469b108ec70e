//! How a command went, and the exit code that reports it to scripts.

use std::{io, process::ExitCode};

use coroner_diagnosis::messages::Message;

use crate::messages::command;

/// How a command that was answered ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// 0: answered.
    Answered,
    /// 3: there is no such diagnosis.
    Nothing,
    /// 4: answered, but something is missing from the answer, or the cause is undetermined.
    Partial,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        Self::from(match outcome {
            Outcome::Answered => 0,
            Outcome::Nothing => 3,
            Outcome::Partial => 4,
        })
    }
}

/// A command that got no answer: why, in one line, and its exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    message: Message,
    broken_pipe: bool,
}

impl Failure {
    fn new(code: u8, message: Message) -> Self {
        Self { code, message, broken_pipe: false }
    }

    /// Exit code 1: an error.
    pub(crate) fn error(message: Message) -> Self {
        Self::new(1, message)
    }

    /// Exit code 2: wrong usage.
    pub(crate) fn usage(message: Message) -> Self {
        Self::new(2, message)
    }

    /// Exit code 65: a recorded case cannot be read.
    pub(crate) fn unreadable(message: Message) -> Self {
        Self::new(65, message)
    }

    /// 69: the aggregator, or what the demo needs, is not available.
    pub(crate) fn unavailable(message: Message) -> Self {
        Self::new(69, message)
    }

    /// The message that is shown on stderr.
    pub(crate) fn message(&self) -> &Message {
        &self.message
    }

    /// Whether the reader of stdout has gone, as `head` does: no message is needed.
    pub(crate) fn is_broken_pipe(&self) -> bool {
        self.broken_pipe
    }
}

impl From<Failure> for ExitCode {
    fn from(failure: Failure) -> Self {
        Self::from(failure.code)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        let broken_pipe = error.kind() == io::ErrorKind::BrokenPipe;
        Self { broken_pipe, ..Self::error(command::error_output(error.to_string())) }
    }
}
