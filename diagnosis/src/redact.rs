//! Secrets are taken out of texts before they leave the node.
//!
//! What looks like a secret is replaced by `[redacted:RULE]`. That a text is redacted can be wrong in both directions: rules hold on
//! to well-known shapes and to names that say "secret", and cannot know a password by its looks.

use std::sync::LazyLock;

use regex::Regex;

/// A shape of secrets.
struct Rule {
    name: &'static str,
    /// What is replaced is its group `secret`, or all of the match if it has none.
    shape: Regex,
}

/// In this order: what a rule has replaced, the next ones see no more.
static RULES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    let rule = |name, shape: &str| Rule { name, shape: Regex::new(shape).expect("the shape is a constant") };
    vec![
        rule("private-key", r"-----BEGIN [A-Z ]*PRIVATE KEY-----[^\x00]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\z)"),
        rule("jwt", r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"),
        rule("aws-key", r"\b(?:AKIA|ASIA|AGPA|AIDA|AROA)[A-Z0-9]{16}\b"),
        rule("github-token", r"\b(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{30,})"),
        rule("slack-token", r"\bxox[abprs]-[A-Za-z0-9-]{10,}"),
        rule("google-key", r"\bAIza[A-Za-z0-9_-]{35}"),
        rule("url-password", r"[a-zA-Z][a-zA-Z0-9+.-]*://[^\s/:@]*:(?P<secret>[^\s/@]+)@"),
        rule("authorization", r"(?i)\b(?:bearer|basic)\s+(?P<secret>[A-Za-z0-9._~+/=-]{8,})"),
        rule(
            "flag",
            concat!(
                r#"(?i)--[a-z0-9_-]*(?:password|passwd|passphrase|secret|api-?key|access-?key|private-?key|credential|token)"#,
                r#"["']?,?\s+["']?(?P<secret>[^\s"',-][^\s"',]*)"#
            ),
        ),
        rule(
            "named",
            concat!(
                r#"(?i)[a-z0-9_.-]*(?:password|passwd|passphrase|secret|api[_-]?key|apikey|access[_-]?key|auth[_-]?token"#,
                r#"|private[_-]?key|credential|client[_-]?secret|token|pwd)[a-z0-9_-]*["']?\s*(?:[:=]|=>)\s*"#,
                r#"(?P<secret>"(?:[^"\\]|\\.)+"|'(?:[^'\\]|\\.)+'|[^\s"',;&\[\])}]+)"#
            ),
        ),
    ]
});

/// The rules that took something out of a text, by what they left in its place.
pub fn rules_in(text: &str) -> impl Iterator<Item = &'static str> {
    RULES.iter().map(|rule| rule.name).filter(|name| text.contains(&format!("[redacted:{name}]")))
}

/// A text without what looks like a secret, and the names of the rules that found some.
pub fn clean(text: &str) -> (String, Vec<&'static str>) {
    let mut cleaned = text.to_owned();
    let mut fired = Vec::new();
    for Rule { name, shape } in RULES.iter() {
        let mut out = String::with_capacity(cleaned.len());
        let mut end = 0;
        for found in shape.captures_iter(&cleaned) {
            let Some(secret) = found.name("secret").or_else(|| found.get(0)) else { continue };
            if secret.as_str().starts_with("[redacted:") {
                continue;
            }
            out.push_str(&cleaned[end..secret.start()]);
            out.push_str("[redacted:");
            out.push_str(name);
            out.push(']');
            end = secret.end();
        }
        if end > 0 {
            out.push_str(&cleaned[end..]);
            cleaned = out;
            fired.push(*name);
        }
    }
    (cleaned, fired)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn secrets_of_well_known_shapes_are_taken_out() {
        for (text, expected) in [
            ("password=hunter2 user=bob", "password=[redacted:named] user=bob"),
            (r#"{"api_key": "abc def", "n": 1}"#, r#"{"api_key": [redacted:named], "n": 1}"#),
            (r#"exec: "srv --db-password hunter2 -v""#, r#"exec: "srv --db-password [redacted:flag] -v""#),
            (r#"["srv", "--token", "abc", "-v"]"#, r#"["srv", "--token", "[redacted:flag]", "-v"]"#),
            ("DB_PASSWORD: 'x y'", "DB_PASSWORD: [redacted:named]"),
            (
                "postgres://app:s3cr3t@db:5432/shop refused",
                "postgres://app:[redacted:url-password]@db:5432/shop refused",
            ),
            ("Authorization: Bearer abcdefgh12345678", "Authorization: Bearer [redacted:authorization]"),
            ("key AKIAIOSFODNN7EXAMPLE used", "key [redacted:aws-key] used"),
            ("got eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.abc-_def", "got [redacted:jwt]"),
            (
                "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nafter",
                "[redacted:private-key]\nafter",
            ),
            ("-----BEGIN PRIVATE KEY-----\nMIIE", "[redacted:private-key]"),
        ] {
            assert_eq!(clean(text).0, expected);
        }
    }

    #[test]
    fn ordinary_words_stay() {
        for text in [
            "use --token-file /run/token",
            "tokenizer started",
            "the password was wrong",
            "no such file: /etc/secrets",
            "keyspace=7",
            "exit 1",
        ] {
            assert_eq!(clean(text), (text.to_owned(), vec![]));
        }
    }

    proptest! {
        #[test]
        fn nothing_of_a_named_secret_is_left(
            name in "(db_|APP-)?(password|SECRET|api_key|token)", secret in "[A-Za-z0-9+/@!#%]{6,40}", before in "[a-z ]{0,20}"
        ) {
            let (cleaned, fired) = clean(&format!("{before} {name}={secret}"));
            prop_assert!(!cleaned.contains(&secret), "{cleaned}");
            prop_assert!(!fired.is_empty());
        }

        #[test]
        fn what_was_cleaned_stays_as_it_is(text in "(password|token|https?://a:b@c|Bearer |[ -~]|\n){0,40}") {
            let (once, _) = clean(&text);
            prop_assert_eq!(clean(&once).0, once);
        }

        #[test]
        fn any_text_is_cleaned_without_panic(text: String) {
            let _cleaned = clean(&text);
        }
    }
}
