//! What the parsers of foreign bytes share: their error, and how they take numbers.

use std::str::FromStr;

use crate::text;

/// Bytes that are not what their interface promises. Contains what was expected and the beginning of what came.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not {expected}: {input:?}")]
pub struct ParseError {
    /// What was expected, with its article: "a record of the kernel log: no sequence number".
    pub expected: &'static str,
    /// The beginning of what came, made fit to be shown.
    pub input: String,
}

impl ParseError {
    /// For this input, of which at most 120 bytes are kept.
    pub fn new(expected: &'static str, input: &str) -> Self {
        let start = input.floor_char_boundary(240);
        Self { expected, input: text::clean(&input[..start], 120) }
    }
}

/// A decimal number that stands alone: unlike [`str::parse`], no leading `+`.
pub(crate) fn decimal<T: FromStr>(text: &str) -> Option<T> {
    if text.starts_with('+') { None } else { text.parse().ok() }
}

/// A hexadecimal number without `0x`.
pub(crate) fn hexadecimal(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_hexdigit());
    if digits { u64::from_str_radix(text, 16).ok() } else { None }
}

/// Where each occurrence of `pattern` in `text` begins, from the left.
pub(crate) fn occurrences<'t>(text: &'t str, pattern: &'t str) -> impl Iterator<Item = usize> + 't {
    text.match_indices(pattern).map(|(at, _)| at)
}

/// The most that the kernel keeps of a process' name (`TASK_COMM_LEN` without the NUL), in bytes; so at most as many
/// characters, also after what is not UTF-8 has been replaced.
pub(crate) const COMM_MAX: usize = 15;

/// Whether this can be the name of a process. Names are hostile: any bytes but NUL, so also the kernel's own wording.
/// They are short, however, and that is what the parsers hold on to.
pub(crate) fn is_comm(text: &str) -> bool {
    text.chars().nth(COMM_MAX).is_none()
}
