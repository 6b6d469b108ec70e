//! Headers of HTTP.

use std::{iter, ops::Range};

use super::{
    shape::Shape,
    value::{is_secret_name, line_end},
};

static AUTHORIZATION: Shape = Shape::new(&["authorization"], || {
    r#"(?i:\b(?:proxy-)?authorization\\*["']?\s{0,4}(?:[:=：]|\s=>)\s{0,4}(?P<open>\[?\\*["']?))"#.to_owned()
});
const SCHEMES: &[&str] =
    &["bearer", "basic", "token", "negotiate", "digest", "aws4-hmac-sha256", "sharedkey", "apikey", "hawk", "ntlm"];
/// A scheme of authentication, wherever it stands.
static SCHEME: Shape = Shape::new(SCHEMES, || {
    let schemes = SCHEMES.join("|");
    format!(r#"(?i:\b(?:{schemes}))[ \t]{{1,4}}(?P<secret>[^\s"'\\]{{6,}})"#)
});
static COOKIE: Shape =
    Shape::new(&["cookie"], || r#"(?i:\b(?:set-)?cookie\\*["']?\s{0,4}[:=：]\s{0,4})(?P<open>\[?\\*["']?)"#.to_owned());

/// Credentials of any scheme. The name of the scheme stays.
pub(super) fn authorization(text: &str) -> Vec<Range<usize>> {
    let mut secrets = Vec::new();
    for Range { start, end } in values(&AUTHORIZATION, text) {
        let value = &text[start..end];
        let scheme = value.find(' ').filter(|at| value[..*at].bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'));
        let begin = start + scheme.map_or(0, |at| at + 1);
        // Prose about it: `authorization: not found`.
        let words = value.split([' ', ',']).all(|word| !is_secret_name(word.trim_matches(['"', '\''])));
        if !words || scheme.is_some_and(|at| is_scheme(&value[..at])) && end - begin >= 4 {
            secrets.push(begin..end);
        }
    }
    let free = SCHEME
        .of(text)
        .into_iter()
        .flat_map(|shape| shape.captures_iter(text))
        .filter_map(|found| found.name("secret"));
    secrets.extend(free.filter(|found| is_secret_name(found.as_str())).map(|found| found.range()));
    secrets.sort_by_key(|secret| (secret.start, std::cmp::Reverse(secret.end)));
    secrets
}

/// The values of headers of this shape.
fn values(shape: &Shape, text: &str) -> impl Iterator<Item = Range<usize>> {
    let shape = shape.of(text);
    let mut from = 0;
    iter::from_fn(move || {
        let found = shape?.captures_at(text, from)?;
        let open = found.name("open")?;
        let end = header_end(text, found.get(0)?.start(), open.end(), open.as_str());
        from = end.max(open.end());
        Some(open.end()..end)
    })
}

/// Where a header ends: at the quote that was opened before its value or before its name, else with the line.
fn header_end(text: &str, start: usize, value: usize, open: &str) -> usize {
    if open.ends_with(['"', '\'']) {
        return line_end(text, value, open);
    }
    let line = text[value..].find('\n').map_or(text.len(), |at| value + at);
    let quote = text[..start].chars().next_back().filter(|c| matches!(c, '"' | '\''));
    quote.and_then(|quote| text[value..line].find(quote)).map_or(line, |at| value + at)
}

fn is_scheme(word: &str) -> bool {
    SCHEMES.iter().any(|scheme| word.eq_ignore_ascii_case(scheme))
}

/// All of a cookie: its names mean little, and none is known to be harmless.
pub(super) fn cookie(text: &str) -> Vec<Range<usize>> {
    values(&COOKIE, text).filter(|value| text[value.clone()].contains('=')).collect()
}
