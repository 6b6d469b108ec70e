//! The end of a container's log, as the kubelet keeps it (CRI format: `<time> stdout|stderr P|F <text>`).

mod finding;
mod launcher;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use finding::{Finding, finding};
pub use launcher::not_launched;

use crate::{observation::cri::Pod, parse::ParseError};

/// The last lines that one instance of a container wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tail {
    /// Its pod. The uid is the node's.
    pub pod: Pod,
    /// The container that wrote it.
    pub container: String,
    /// Restart count, from the name of the file.
    pub attempt: u32,
    /// The lines, the oldest first.
    pub lines: Vec<Line>,
}

/// A line of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// When the runtime received the line.
    pub at: Timestamp,
    /// Whether the program wrote it to stderr.
    pub stderr: bool,
    /// Its text. The container chooses it freely.
    pub text: String,
}

/// Longest line that is kept, in bytes.
const LINE: usize = 4096;

impl Line {
    /// From a line of the log file, with whether it goes on in the next (`P`).
    ///
    /// # Errors
    /// If it is not in the CRI's format.
    pub fn parse(line: &str) -> Result<(Self, bool), ParseError> {
        let bad = || ParseError::new("a line of a container's log", line);
        let mut fields = line.splitn(4, ' ');
        let at = fields.next().and_then(|at| at.parse().ok()).ok_or_else(bad)?;
        let stderr = match fields.next() {
            Some("stdout") => false,
            Some("stderr") => true,
            _ => return Err(bad()),
        };
        // Tags are separated by colons; the first one marks whether the line is whole.
        let partial = match fields.next().and_then(|tags| tags.split(':').next()) {
            Some("F") => false,
            Some("P") => true,
            _ => return Err(bad()),
        };
        let text = fields.next().unwrap_or_default();
        let text = text[..text.floor_char_boundary(LINE)].to_owned();
        Ok((Self { at, stderr, text }, partial))
    }

    /// All lines of a piece of a log file; what is not in the CRI's format is passed over, as the rest of a line that a
    /// reader began to read in its middle.
    pub fn parse_all(text: &str) -> Vec<Self> {
        let mut lines: Vec<Self> = Vec::new();
        let mut goes_on = [false, false];
        for (line, partial) in text.lines().filter_map(|line| Self::parse(line).ok()) {
            let stream = usize::from(line.stderr);
            let before = lines.iter_mut().rev().find(|before| before.stderr == line.stderr);
            match before.filter(|before| goes_on[stream] && before.text.len() < LINE) {
                Some(before) => before.text.push_str(&line.text),
                None if goes_on[stream] => {}
                None => lines.push(line),
            }
            goes_on[stream] = partial;
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn joins_the_pieces_of_a_line() {
        let log = "half a line\n\
                   2026-11-20T22:10:00.1Z stdout F one\n\
                   2026-11-20T22:10:00.2Z stderr P pan\n\
                   2026-11-20T22:10:00.3Z stdout F two\n\
                   2026-11-20T22:10:00.4+01:00 stderr F ic: x\n";
        let lines = Line::parse_all(log);
        let texts: Vec<_> = lines.iter().map(|line| (line.stderr, line.text.as_str())).collect();
        assert_eq!(texts, [(false, "one"), (true, "panic: x"), (false, "two")]);
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text: String) {
            let _read = Line::parse_all(&text);
        }

        #[test]
        fn what_looks_like_a_log_is_read_without_panic(
            lines in prop::collection::vec("2026-11-20T22:10:00Z (stdout|stderr) [PF](:x)? .{0,20}", 0..20)
        ) {
            let read = Line::parse_all(&lines.join("\n"));
            prop_assert!(read.len() <= lines.len());
        }
    }
}
