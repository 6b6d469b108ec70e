//! Random strings: keys without a name beside them.

use std::ops::Range;

/// Shorter words may be identifiers.
const LEAST: usize = 20;

pub(super) fn find(text: &str) -> Vec<Range<usize>> {
    let mut secrets = Vec::new();
    let mut start = None;
    for (at, byte) in text.bytes().chain([b' ']).enumerate() {
        let of_word = byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'_' | b'-' | b'=');
        match (start, of_word) {
            (None, true) => start = Some(at),
            (Some(from), false) => {
                if is_random(&text[from..at]) {
                    secrets.push(from..at);
                }
                start = None;
            }
            _ => {}
        }
    }
    secrets
}

/// Whether the characters of a word are drawn rather than chosen: capitals, small letters and digits change too often,
/// and none of its parts reads like a path or a name.
fn is_random(word: &str) -> bool {
    if word.len() < LEAST {
        return false;
    }
    let kind = |byte: u8| match byte {
        b'A'..=b'Z' => 0,
        b'a'..=b'z' => 1,
        b'0'..=b'9' => 2,
        _ => 3,
    };
    let mut counts = [0_usize; 4];
    for byte in word.bytes() {
        counts[kind(byte)] += 1;
    }
    let changes = word.as_bytes().windows(2).filter(|pair| kind(pair[0]) != kind(pair[1])).count();
    let [capitals, small, digits, other] = counts;
    capitals >= 3 && small >= 3 && digits >= 2 && other * 8 <= word.len() && changes * 5 >= word.len() * 2
}
