//! Secrets are taken out of texts before they leave the node.
//!
//! What looks like a secret is replaced by `[redacted:RULE]`. That a text is redacted can be wrong in both directions:
//! rules compare well-known shapes, names that mean a secret, and randomness; they cannot know a password by its looks.
//! `diagnosis/tests/redact/` holds what must go and what must stay.
//!
//! Every rule takes time linear in the text: regular expressions are finite automata.

mod command;
mod header;
mod key;
mod named;
mod pem;
mod random;
mod shape;
mod token;
mod url;
mod value;

use std::ops::Range;

use crate::text;

/// A rule: where in a text it finds secrets, in order and without overlap.
type Rule = fn(&str) -> Vec<Range<usize>>;

/// In this order: what a rule has replaced, the next ones see no more. Names of secrets come behind the shapes that a
/// value may have.
const RULES: [(&str, Rule); 8] = [
    ("private-key", pem::find),
    ("provider-token", token::find),
    ("url", url::find),
    ("authorization", header::authorization),
    ("cookie", header::cookie),
    ("named", named::find),
    ("command", command::find),
    ("random", random::find),
];

/// What begins the mark that is left in the place of a secret.
const MARK: &str = "[redacted:";
/// A mark may give another rule its context. So often the rules are applied at most.
const ROUNDS: usize = 4;

/// The rules that took something out of a text, by what they left in its place.
pub fn rules_in(text: &str) -> impl Iterator<Item = &'static str> {
    RULES.iter().map(|(name, _)| *name).filter(|name| text.contains(&format!("{MARK}{name}]")))
}

/// A text without what looks like a secret, and the names of the rules that found some. It has as many lines as before.
pub fn clean(text: &str) -> (String, Vec<&'static str>) {
    let mut cleaned = text.to_owned();
    let mut fired = Vec::new();
    for _ in 0..ROUNDS {
        let mut any = false;
        for (name, find) in RULES {
            let secrets = find(&cleaned);
            if let Some(replaced) = replace(&cleaned, &secrets, name) {
                cleaned = replaced;
                any = true;
                if !fired.contains(&name) {
                    fired.push(name);
                }
            }
        }
        if !any {
            break;
        }
    }
    (cleaned, fired)
}

/// The text with control characters escaped, cut to at most `max_bytes`. Of a secret that is cut, no rule would know
/// the rest: it is taken out before.
pub fn cut(text: &str, max_bytes: usize) -> String {
    if text.len() <= max_bytes {
        return text::clean(text, max_bytes);
    }
    text::clean(&clean(text).0, max_bytes)
}

/// The text with a mark in the place of each secret. `None` if that changes nothing.
fn replace(text: &str, secrets: &[Range<usize>], rule: &str) -> Option<String> {
    let mut out = String::new();
    let mut end = 0;
    for secret in secrets {
        let found = &text[secret.clone()];
        if secret.start < end || found.is_empty() || found.starts_with(MARK) {
            continue;
        }
        out.push_str(&text[end..secret.start]);
        out.push_str(MARK);
        out.push_str(rule);
        out.push(']');
        // Lines keep their numbers.
        out.extend(found.chars().filter(|c| *c == '\n'));
        end = secret.end;
    }
    (end > 0).then(|| out + &text[end..])
}

#[cfg(test)]
mod tests;
