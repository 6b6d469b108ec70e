//! The end of a container's log, as the kubelet keeps it (CRI format: `<time> stdout|stderr P|F <text>`), or Docker
//! behind the kubelet's links to it (json-file: `{"log":"<text>\n","stream":"stderr","time":"<time>"}`).

mod finding;
mod launcher;

use std::borrow::Cow;

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
    /// The name of the container in its Pod.
    pub container: String,
    /// Restart count, from the name of the file.
    pub attempt: u32,
    /// The lines, the oldest first.
    pub lines: Vec<Line>,
}

/// A line of a container log, as the runtime stores it.
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
    /// If it is neither in the CRI's format nor in Docker's.
    pub fn parse(line: &str) -> Result<(Self, bool), ParseError> {
        if line.starts_with('{') {
            return Docker::parse(line);
        }
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

    /// All lines of a piece of a log file, without colours; what is in no known format is passed over, as the rest of a
    /// line that a reader began to read in its middle.
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
        for line in &mut lines {
            if let Cow::Owned(plain) = plain(&line.text) {
                line.text = plain;
            }
        }
        lines
    }
}

/// A line of Docker's json-file. A long line is divided; only its last piece ends in a line break.
#[derive(Deserialize)]
struct Docker {
    log: String,
    stream: String,
    time: Timestamp,
}

impl Docker {
    fn parse(line: &str) -> Result<(Line, bool), ParseError> {
        let bad = || ParseError::new("a line of a container's log", line);
        let Self { log, stream, time } = serde_json::from_str(line).map_err(|_| bad())?;
        let stderr = match stream.as_str() {
            "stdout" => false,
            "stderr" => true,
            _ => return Err(bad()),
        };
        let text = log.strip_suffix('\n');
        let whole = text.unwrap_or(&log);
        let text = whole[..whole.floor_char_boundary(LINE)].to_owned();
        Ok((Line { at: time, stderr, text }, !log.ends_with('\n')))
    }
}

/// A text without the control sequences of terminals (ECMA-48: `ESC [`, parameters, one letter), as those of colours.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    let mut rest = text;
    let mut plain = String::new();
    while let Some((before, sequence)) = rest.split_once("\u{1b}[") {
        let end = sequence.find(|c| !matches!(c, ' '..='?'));
        let after = end.and_then(|end| sequence[end..].strip_prefix(|c| matches!(c, '@'..='~')));
        plain.push_str(before);
        rest = after.unwrap_or(sequence);
    }
    if rest.len() == text.len() {
        return Cow::Borrowed(text);
    }
    plain.push_str(rest);
    Cow::Owned(plain)
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

    #[test]
    fn reads_the_log_of_docker() {
        let log = concat!(
            r#"{"log":"one\n","stream":"stdout","time":"2026-11-20T22:10:00.1Z"}"#,
            "\n",
            r#"{"log":"pan","stream":"stderr","time":"2026-11-20T22:10:00.2Z"}"#,
            "\n",
            r#"{"log":"ic: x\n","stream":"stderr","attrs":{"tag":"a"},"time":"2026-11-20T22:10:00.3Z"}"#,
            "\n",
            r#"{"msg":"of a program"}"#,
        );
        let lines = Line::parse_all(log);
        let texts: Vec<_> = lines.iter().map(|line| (line.stderr, line.text.as_str())).collect();
        assert_eq!(texts, [(false, "one"), (true, "panic: x")]);
    }

    #[test]
    fn colours_are_left_out() {
        for (text, expected) in [
            ("\u{1b}[31mx.sh: line 3: a: command not found\u{1b}[0m", "x.sh: line 3: a: command not found"),
            ("\u{1b}[1;38;5;9mé\u{1b}[K", "é"),
            ("cut \u{1b}[", "cut "),
            ("array[3m]", "array[3m]"),
        ] {
            assert_eq!(plain(text), expected);
        }
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
