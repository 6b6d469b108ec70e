use proptest::prelude::*;

use super::*;

#[test]
fn secrets_of_well_known_shapes_are_taken_out() {
    for (text, expected) in [
        ("password=hunter2 user=bob", "password=[redacted:named] user=bob"),
        (r#"{"api_key": "abc def", "n": 1}"#, r#"{"api_key": "[redacted:named]", "n": 1}"#),
        (r#"exec: "srv --db-password hunter2 -v""#, r#"exec: "srv --db-password [redacted:command] -v""#),
        (r#"["srv", "--token", "abc", "-v"]"#, r#"["srv", "--token", "[redacted:command]", "-v"]"#),
        ("DB_PASSWORD: 'x y'", "DB_PASSWORD: '[redacted:named]'"),
        ("postgres://app:s3cr3t@db:5432/shop refused", "postgres://app:[redacted:url]@db:5432/shop refused"),
        ("Authorization: Bearer abcdefgh12345678", "Authorization: Bearer [redacted:authorization]"),
        ("key AKIAIOSFODNN7EXAMPLE used", "key [redacted:provider-token] used"),
        ("got eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.abc-_def", "got [redacted:provider-token]"),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nafter",
            "[redacted:private-key]\n\n\nafter",
        ),
        ("-----BEGIN PRIVATE KEY-----\nMIIE", "[redacted:private-key]\n"),
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
        // A name of a file is none.
        prop_assume!(!secret.starts_with('/'));
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
