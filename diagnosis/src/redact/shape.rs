//! Shapes of what surrounds a secret.

use std::sync::OnceLock;

use regex::Regex;

/// A regular expression that is compiled for the first text that it may match: all of them take two megabytes.
pub(super) struct Shape {
    /// Strings of ASCII characters: one of them, in capitals or small letters, is in each text that it matches.
    marks: &'static [&'static str],
    pattern: fn() -> String,
    compiled: OnceLock<Regex>,
}

impl Shape {
    pub(super) const fn new(marks: &'static [&'static str], pattern: fn() -> String) -> Self {
        Self { marks, pattern, compiled: OnceLock::new() }
    }

    /// The expression, if the text may match it.
    pub(super) fn of(&self, text: &str) -> Option<&Regex> {
        let compile = || Regex::new(&(self.pattern)()).expect("the shape is a constant");
        has_any(text.as_bytes(), self.marks).then(|| self.compiled.get_or_init(compile))
    }
}

fn has_any(text: &[u8], marks: &[&str]) -> bool {
    let begins = |rest: &[u8], mark: &str| {
        rest.get(..mark.len()).is_some_and(|start| start.eq_ignore_ascii_case(mark.as_bytes()))
    };
    (0..text.len()).any(|at| marks.iter().any(|mark| begins(&text[at..], mark)))
}
