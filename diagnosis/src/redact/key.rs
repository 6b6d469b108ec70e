//! Names that mean a secret, in English and Chinese, and what makes them mean something else.

use std::sync::LazyLock;

use regex::Regex;

/// What a name implies about its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strength {
    /// It is a secret whatever it looks like.
    Strong,
    /// It is one if it looks like one: tokens are counted, keys are looked up.
    Weak,
}

/// A name in a text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) strength: Strength,
}

static WORD: LazyLock<Regex> = LazyLock::new(|| {
    let strong = "pass_?words?|passwds?|pass_?phrases?|passwort|secrets?|credentials?|api[_-]?keys?|access[_-]?keys?|private[_-]?keys?\
                  |account[_-]?key|shared[_-]?key|encryption[_-]?key|signing[_-]?key|master[_-]?key|auth[_-]?key|conn(?:ection)?[_-]?str(?:ing)?\
                  |requirepass|masterauth|_auth\\b|auth[_-]?tokens?|bearer[_-]?token|pwd|mnemonic";
    let whole = r"\b(?:pass|pw|psk|sas|pat)\b|(?:_|\b)(?:PASS|PW|PSK|PAT)\b";
    let weak = r"tokens?|signature|session[_-]?id|\b(?:sid|sig|auth|otp|jwt|keys?)\b|_keys?\b|-key\b";
    let han = "密码|口令|密钥|秘钥|私钥|令牌|凭证|凭据";
    Regex::new(&format!("(?P<strong>(?i:{strong})|{whole}|{han})|(?P<weak>(?i:{weak}))"))
        .expect("the words are constants")
});

/// What follows the word in the name of something about a secret rather than of the secret.
const ABOUT: [&str; 63] = [
    "name",
    "names",
    "namespace",
    "ref",
    "refs",
    "keyref",
    "keyselector",
    "file",
    "files",
    "filename",
    "path",
    "paths",
    "dir",
    "mount",
    "volume",
    "type",
    "kind",
    "count",
    "counts",
    "length",
    "len",
    "size",
    "limit",
    "limits",
    "age",
    "ttl",
    "expiry",
    "expires",
    "expired",
    "expiration",
    "version",
    "url",
    "uri",
    "endpoint",
    "host",
    "port",
    "policy",
    "rotation",
    "store",
    "stores",
    "provider",
    "class",
    "manager",
    "id",
    "ids",
    "reset",
    "hint",
    "field",
    "required",
    "enabled",
    "attempts",
    "usage",
    "used",
    "budget",
    "window",
    "request",
    "review",
    "source",
    "format",
    "algorithm",
    "issuer",
    "validity",
    "driver",
];

/// The next name at or behind `from`.
pub(super) fn next(text: &str, from: usize) -> Option<Key> {
    let mut from = from;
    loop {
        let found = WORD.captures_at(text, from)?;
        let word = found.get(0)?;
        from = word.end();
        let of_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
        let before = text.as_bytes()[..word.start()].iter().rev().take(64).take_while(|b| of_name(**b)).count();
        let after = text.as_bytes()[word.end()..].iter().take(64).take_while(|b| of_name(**b) && **b != b'.').count();
        let (start, end) = (word.start() - before, word.end() + after);
        let strength = if found.name("strong").is_some() { Strength::Strong } else { Strength::Weak };
        if is_of_secret(&text[start..end], word.as_str(), &text[word.end()..end]) {
            return Some(Key { start, end, strength });
        }
    }
}

fn is_of_secret(name: &str, word: &str, rest: &str) -> bool {
    if !word.is_ascii() {
        return true;
    }
    let lower = name.to_ascii_lowercase();
    // It goes on as another word does: `tokenizer`, `secretary`, `passwordless`.
    let goes_on = rest.bytes().next().is_some_and(|b| b.is_ascii_lowercase())
        && word.bytes().last().is_some_and(|b| b.is_ascii_lowercase());
    let last = last_part(rest);
    let about = ABOUT.contains(&last.to_ascii_lowercase().as_str());
    // Vault's `secret_id` is one.
    !goes_on
        && (!about || lower.ends_with("secret_id") || lower.ends_with("session_id") || lower.ends_with("sessionid"))
}

/// The last part of the rest of a name: of `_FILE`, `RefName`, `-expires-in`.
fn last_part(rest: &str) -> &str {
    let rest = rest.trim_end_matches(['_', '-']);
    let rest = rest
        .strip_suffix("_in")
        .or_else(|| rest.strip_suffix("_at"))
        .or_else(|| rest.strip_suffix("-in"))
        .unwrap_or(rest);
    let all_capitals = rest.bytes().all(|b| !b.is_ascii_lowercase());
    let begins = |c: char| matches!(c, '_' | '-') || !all_capitals && c.is_ascii_uppercase();
    rest.rfind(begins).map_or(rest, |at| rest[at..].trim_start_matches(['_', '-']))
}
