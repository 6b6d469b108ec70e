//! Shapes of what surrounds a secret.

use std::sync::OnceLock;

use regex::Regex;

/// A regular expression that is compiled for the first text that it may match: all of them take 1.6 MiB.
pub(super) struct Shape {
    /// Strings of ASCII characters, none of them capitals: one of them is in each text that it matches, whatever the
    /// case of its letters.
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
        let text = text.to_ascii_lowercase();
        self.marks.iter().any(|mark| text.contains(mark)).then(|| self.compiled.get_or_init(compile))
    }
}
