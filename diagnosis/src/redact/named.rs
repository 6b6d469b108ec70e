//! Values whose name implies that they are secret: `password=…`, `"api_key": "…"`, `<secret>…</secret>`,
//! `{"name":"DB_PASSWORD","value":…}`.

use std::{ops::Range, sync::LazyLock};

use regex::Regex;

use super::{
    MARK,
    key::{self, Key, Strength},
    value::{escaped_line_end, is_number, is_path, is_placeholder, is_secret_name, line_end, word_end},
};

/// Between a name and its value.
static ASSIGNED: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"^(?P<quote>\\*["'`]|\])?\s{0,8}(?P<sign>:=|=>|==?|:|：|＝|是|为)[ \t]{0,8}(?P<open>b?\\*(?:"""|["'`])|\[\\*["']|\|-?\n\s*|>-?\n\s*)?"#)
        .expect("the shape is a constant")
});
/// Between a name and its value in a sentence.
static IN_WORDS: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#"^["']? (?:(?:to|is|was|of|with) )?["']?"#).expect("the shape is a constant"));
/// The characters of an element's attributes in XML that are looked at, at most.
const ATTRIBUTES: usize = 200;
/// The name is itself a value, and its value comes next: lists of environment variables, properties, settings.
static PAIRED: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r#"^\\*["']?\s{0,4}(?:[,;]|</[a-zA-Z:]{1,40}>)?(?:\s|\\n){0,40}(?:-\s)?(?:<|\\*["'])?(?i:string_?value|value|val)\\*["']?\s{0,4}(?:[:=]|>)\s{0,4}(?P<open>\\*["'])?"#,
    )
    .expect("the shape is a constant")
});
/// Longest address that a name is the end of, in bytes.
const URL: usize = 512;
/// Words that follow the first of a message.
const VERBS: [&str; 12] =
    ["is", "are", "was", "were", "not", "failed", "cannot", "has", "have", "must", "does", "denied"];
/// Words that messages, not secrets, begin with.
const PROSE: [&str; 44] = [
    "not",
    "no",
    "missing",
    "required",
    "is",
    "was",
    "are",
    "were",
    "invalid",
    "unexpected",
    "unknown",
    "expired",
    "failed",
    "cannot",
    "must",
    "should",
    "does",
    "did",
    "has",
    "have",
    "mismatch",
    "incorrect",
    "wrong",
    "authentication",
    "denied",
    "unable",
    "could",
    "error",
    "empty",
    "too",
    "unsupported",
    "rejected",
    "accepted",
    "changed",
    "updated",
    "ok",
    "the",
    "a",
    "an",
    "for",
    "from",
    "permission",
    "failure",
    "unauthorized",
];

pub(super) fn find(text: &str) -> Vec<Range<usize>> {
    let mut secrets: Vec<Range<usize>> = Vec::new();
    let mut from = 0;
    while let Some(key) = key::next(text, from) {
        from = key.end;
        if let Some(secret) = value_of(text, &key) {
            from = secret.end.max(from);
            secrets.push(secret);
        }
    }
    secrets
}

/// The bytes up to the end of a tag of XML, behind its name: its attributes and what closes it.
fn rest_of_tag(rest: &str) -> Option<usize> {
    let mut chars = rest.char_indices().take(ATTRIBUTES + 2);
    match chars.next()?.1 {
        '>' => Some(1),
        first if first.is_whitespace() => {
            let (at, end) = chars.find(|(_, c)| matches!(c, '<' | '>' | '\n'))?;
            (end == '>').then_some(at + 1)
        }
        _ => None,
    }
}

fn value_of(text: &str, key: &Key) -> Option<Range<usize>> {
    let rest = &text[key.end..];
    if is_element(text, key)
        && let Some(length) = rest_of_tag(rest)
    {
        let start = key.end + length;
        let end = text[start..].find('<').map_or(text.len(), |at| start + at);
        return (!is_placeholder(&text[start..end])).then_some(start..end);
    }
    if is_named_by(text, key)
        && let Some(found) = PAIRED.captures(rest)
    {
        let whole = found.get(0)?;
        let start = key.end + whole.end();
        let end = match (found.name("open"), whole.as_str().ends_with('>')) {
            (Some(open), _) => line_end(text, start, open.as_str()),
            (None, true) => text[start..].find('<').map_or(text.len(), |at| start + at),
            (None, false) => unquoted_end(text, start),
        };
        return (!is_placeholder(&text[start..end])).then_some(start..end);
    }
    let Some(found) = ASSIGNED.captures(rest) else {
        return named_in_words(text, key);
    };
    let start = key.end + found.get(0)?.end();
    let sign = found.name("sign")?.as_str();
    // `Post "https://h/token": EOF`: what follows is why the request failed.
    let closes_address = sign == ":"
        && found.name("open").is_none()
        && found.name("quote").is_some_and(|quote| quote.as_str() != "]")
        && is_end_of_url(text, key);
    if text[start..].starts_with(MARK) || closes_address {
        return None;
    }
    if let Some(open) = found.name("open") {
        let end = line_end(text, start, open.as_str());
        let value = &text[start..end];
        let harmless =
            is_placeholder(value) || is_path(value) || key.strength == Strength::Weak && !could_be_secret(value);
        return (!harmless).then_some(start..end);
    }
    let end = if is_in_query(text, key) { query_end(text, start) } else { unquoted_end(text, start) };
    let value = text[start..end].trim_end();
    let word = &text[start..word_end(text, start).min(end)];
    if is_placeholder(word) || is_placeholder(value) || is_path(word) || is_reference(text, key, word) {
        return None;
    }
    // In JSON, words without quotes are no value.
    if found.name("quote").is_some()
        && value.split_once(' ').is_some_and(|(word, _)| word.bytes().all(|b| b.is_ascii_lowercase()))
    {
        return None;
    }
    let assigned = !matches!(sign, ":" | "：") || found.name("quote").is_some();
    // Of tokens there are many kinds, but one that something is assigned to is of this one.
    let is_token = text[key.start..key.end].to_ascii_lowercase().ends_with("token");
    let strength = if assigned && is_token { Strength::Strong } else { key.strength };
    let secret = match (strength, assigned) {
        (Strength::Strong, true) => !is_prose(value),
        (Strength::Strong, false) if is_in_sentence(text, key) => is_secret_name(word),
        (Strength::Strong, false) => !is_prose(value),
        (Strength::Weak, _) => could_be_secret(word) && !is_prose(value) && (assigned || is_secret_name(word)),
    };
    // In a sentence, what follows is more of the sentence.
    let end = if !assigned && is_in_sentence(text, key) { start + word.len() } else { end };
    secret.then_some(start..end.min(start + text[start..end].trim_end().len()))
}

/// `password hunter2`, `DB_PASS to "hunter2"`: only a word that looks like a secret.
fn named_in_words(text: &str, key: &Key) -> Option<Range<usize>> {
    let found = IN_WORDS.find(&text[key.end..]).filter(|_| key.strength == Strength::Strong)?;
    let start = key.end + found.end();
    let end = word_end(text, start);
    let end = start + text[start..end].trim_end_matches(['"', '\'', ',', '.', ';', ')']).len();
    is_secret_name(&text[start..end]).then_some(start..end)
}

/// Whether it begins an element of XML, with or without a prefix.
fn is_element(text: &str, key: &Key) -> bool {
    let before = &text.as_bytes()[..key.start];
    let prefix = before
        .iter()
        .rev()
        .take(40)
        .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b':' | b'-' | b'_'))
        .count();
    before[..before.len() - prefix].ends_with(b"<")
}

/// Whether a `name:` or `key=` stands before it.
fn is_named_by(text: &str, key: &Key) -> bool {
    let before = text[..key.start].trim_end_matches(['"', '\'', '\\', ' ', '\t']);
    let before = before.strip_suffix([':', '=', '>']).unwrap_or(before).trim_end_matches(['"', '\'', '\\', ' ']);
    let ends_with = |word: &[u8]| {
        before.len() >= word.len() && before.as_bytes()[before.len() - word.len()..].eq_ignore_ascii_case(word)
    };
    ends_with(b"name") || ends_with(b"key")
}

/// Words of letters before and a colon behind it: `invalid token: unexpected EOF`.
fn is_in_sentence(text: &str, key: &Key) -> bool {
    let before = text[..key.start].strip_suffix(' ').unwrap_or_default();
    let word = before.rsplit([' ', '\n', '\t']).next().unwrap_or_default();
    !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphabetic() || matches!(b, b'\'' | b'"' | b'('))
}

/// Whether it is the end of a quoted address and no name: `Post "https://auth.example.net/token": EOF`.
fn is_end_of_url(text: &str, key: &Key) -> bool {
    let before = &text[text.floor_char_boundary(key.start.saturating_sub(URL))..key.start];
    before.rsplit(['"', '\'', '`', ' ']).next().is_some_and(|quoted| quoted.contains("://"))
}

fn is_in_query(text: &str, key: &Key) -> bool {
    text[..key.start].ends_with(['?', '&'])
}

fn query_end(text: &str, from: usize) -> usize {
    let ends = |c: char| c.is_whitespace() || matches!(c, '&' | '#' | '"' | '\'' | '<' | '>');
    text[from..].find(ends).map_or(text.len(), |at| from + at)
}

fn unquoted_end(text: &str, from: usize) -> usize {
    let line = text[from..].find('\n').map_or(text.len(), |at| from + at);
    escaped_line_end(text, from, line)
}

/// A directory or a name in Kubernetes rather than a secret: `PWD=/srv`, `secret: web-tls`.
fn is_reference(text: &str, key: &Key, word: &str) -> bool {
    let name = &text[key.start..key.end];
    name.to_ascii_lowercase().ends_with("pwd") && is_directory(word)
        || name.ends_with("ecrets") && word.starts_with(['[', '{'])
}

fn is_directory(word: &str) -> bool {
    let of_path = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'.' | b'-' | b'_');
    word.starts_with(['/', '~']) && word.bytes().skip(1).all(of_path)
}

/// Whether it begins like a message (`not found`, `mount failed`), or is only words of Chinese.
fn is_prose(value: &str) -> bool {
    let word = |word: &str| word.trim_end_matches([':', ',', '.', ';']).to_ascii_lowercase();
    let mut words = value.split_ascii_whitespace().map(word);
    let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    PROSE.contains(&first.as_str())
        || first.bytes().all(|b| b.is_ascii_lowercase()) && VERBS.contains(&second.as_str())
        || value.chars().all(|c| !c.is_ascii() || c == ' ')
}

/// Of a name that does not always mean a secret: no number and no usual word.
fn could_be_secret(value: &str) -> bool {
    let value = value.trim_matches(['"', '\'']);
    value.len() >= 6
        && !is_number(value)
        && !is_path(value)
        && (is_secret_name(value) || value.len() >= 24 && !value.contains(' '))
}
