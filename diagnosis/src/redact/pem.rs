//! Private keys in PEM (RFC 7468), whole or in part.

use std::{ops::Range, sync::LazyLock};

use regex::Regex;

/// A line end, raw or escaped once or more.
const EOL: &str = r"(?:\r|\n|\\+[rn])";

static WITH_BEGIN: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"-----? ?BEGIN [A-Z0-9 ]*(?:PRIVATE KEY|PGP MESSAGE)[A-Z ]*-----?[^\x00]*?(?:-----? ?END [A-Z0-9 ]*-----?|\z)",
    )
    .expect("the shape is a constant")
});
/// Lines of base64 up to the end of a key whose beginning is not there.
static WITH_END: LazyLock<Regex> = LazyLock::new(|| {
    let shape = format!(
        r"(?:[A-Za-z0-9+/=]{{4,}}[ \t]*{EOL}+[ \t]*)*[A-Za-z0-9+/=]*[ \t]*-----? ?END [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----?"
    );
    Regex::new(&shape).expect("the shape is a constant")
});
/// Bytes of the shortest line of base64.
const LEAST: usize = 60;
/// Two or more full lines of base64, as PEM breaks them (64 characters, 76 in MIME, 70 of OpenSSH), and the shorter one
/// behind them.
static WITH_NEITHER: LazyLock<Regex> = LazyLock::new(|| {
    let shape = format!(
        r"(?:[A-Za-z0-9+/]{{{LEAST},76}}[ \t]*{EOL}+[ \t]*){{1,}}[A-Za-z0-9+/]{{16,76}}={{0,2}}|[A-Za-z0-9+/]{{64}}"
    );
    Regex::new(&shape).expect("the shape is a constant")
});

pub(super) fn find(text: &str) -> Vec<Range<usize>> {
    if text.contains("BEGIN ") && WITH_BEGIN.is_match(text) {
        return WITH_BEGIN.find_iter(text).map(|found| found.range()).collect();
    }
    if text.contains("END ") && WITH_END.is_match(text) {
        return WITH_END.find_iter(text).map(|found| found.range()).collect();
    }
    if text.len() < LEAST {
        return Vec::new();
    }
    // A digest in hexadecimal is as long as a line.
    let is_base64 = |found: &str| {
        let has = |is: fn(&u8) -> bool| found.bytes().any(|byte| is(&byte));
        has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase) && has(u8::is_ascii_digit)
    };
    // A longer word is no line of a key.
    let is_whole = |range: &Range<usize>| {
        let of_word = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'_' | b'-');
        !text.as_bytes()[..range.start].last().is_some_and(of_word)
            && !text.as_bytes()[range.end..].first().is_some_and(of_word)
    };
    let found = WITH_NEITHER.find_iter(text).filter(|found| is_base64(found.as_str())).map(|found| found.range());
    found.filter(is_whole).collect()
}
