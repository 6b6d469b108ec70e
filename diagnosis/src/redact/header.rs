//! Headers of HTTP.

use std::ops::Range;

use super::{
    shape::Shape,
    value::{is_secret_name, line_end},
};

static AUTHORIZATION: Shape = Shape::new(&["authorization"], || {
    r#"(?i:\b(?:proxy-)?authorization\\*["']?\s{0,4}(?:[:=：]|\s=>)\s{0,4}(?P<open>\[?\\*["']?))"#.to_owned()
});
const SCHEMES: &[&str] =
    &["bearer", "basic", "token", "negotiate", "digest", "aws4-hmac-sha256", "sharedkey", "apikey"];
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
    let mut from = 0;
    while let Some(found) = AUTHORIZATION.of(text).and_then(|shape| shape.captures_at(text, from)) {
        let Some(open) = found.name("open") else { break };
        let end = header_end(text, found.get(0).map_or(0, |whole| whole.start()), open.end(), open.as_str());
        let value = &text[open.end()..end];
        let scheme = value.find(' ').filter(|at| value[..*at].bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'));
        let begin = open.end() + scheme.map_or(0, |at| at + 1);
        // Prose about it: `authorization: not found`.
        let words = text[open.end()..end].split([' ', ',']).all(|word| !is_secret_name(word.trim_matches(['"', '\''])));
        if !words || scheme.is_some_and(|at| is_scheme(&value[..at])) && end - begin >= 4 {
            secrets.push(begin..end);
        }
        from = end.max(open.end());
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
    ["bearer", "basic", "digest", "negotiate", "token", "apikey", "sharedkey", "hawk", "ntlm"]
        .iter()
        .any(|scheme| word.eq_ignore_ascii_case(scheme))
}

/// All of a cookie: its names mean little, and none is known to be harmless.
pub(super) fn cookie(text: &str) -> Vec<Range<usize>> {
    let mut secrets = Vec::new();
    let mut from = 0;
    while let Some(found) = COOKIE.of(text).and_then(|shape| shape.captures_at(text, from)) {
        let Some(open) = found.name("open") else { break };
        let end = header_end(text, found.get(0).map_or(0, |whole| whole.start()), open.end(), open.as_str());
        if text[open.end()..end].contains('=') {
            secrets.push(open.end()..end);
        }
        from = end.max(open.end());
    }
    secrets
}
