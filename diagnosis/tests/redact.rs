//! What must go and what must stay, over shapes of secrets and ordinary lines in files.
#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(clippy::disallowed_methods, reason = "the crate has no clock, a test measures it")]

use coroner_diagnosis::redact::clean;
use proptest::{
    prelude::*,
    test_runner::{RngAlgorithm, TestRng},
};

const SECRETS: &str = include_str!("redact/secrets.txt");
const HARMLESS: &str = include_str!("redact/harmless.txt");
/// So many characters of a secret help to guess it.
const LEAK: usize = 6;

fn lines(file: &'static str) -> impl Iterator<Item = &'static str> {
    file.lines().filter(|line| !line.is_empty() && !line.starts_with('#'))
}

fn random() -> TestRng {
    TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32])
}

/// Random characters of a kind: `hex:32`.
fn draw(kind: &str, random: &mut TestRng) -> String {
    if kind == "uuid" {
        return [8, 4, 4, 4, 12].map(|length| draw(&format!("hex:{length}"), random)).join("-");
    }
    let (kind, length) = kind.split_once(':').unwrap();
    let letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    let alphabet = match kind {
        "hex" => "0123456789abcdef".to_owned(),
        "digits" => "0123456789".to_owned(),
        "upper" => "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789".to_owned(),
        "alnum" => letters.to_owned(),
        "b64" => format!("{letters}+/"),
        "b64url" => format!("{letters}-_"),
        // What people's password managers draw, without quotes and blanks.
        "pw" => format!("{letters}!#%*+-.^_~"),
        "url" => format!("{letters}!$*+-._~"),
        "xml" => format!("{letters}!#%*+-.^_~\"',;"),
        "any" => (b'!'..=b'~').map(char::from).collect(),
        "any_json" => (b'!'..=b'~').map(char::from).filter(|c| !matches!(c, '"' | '\\')).collect(),
        other => panic!("{other}"),
    };
    let alphabet: Vec<char> = alphabet.chars().collect();
    (0..length.parse().unwrap()).map(|_| alphabet[random.random_range(0..alphabet.len())]).collect()
}

/// A shape with its secrets drawn.
fn fill(shape: &str, random: &mut TestRng) -> (String, Vec<String>) {
    let (mut text, mut secrets) = (String::new(), Vec::new());
    let mut rest = shape;
    while let Some((before, after)) = rest.split_once('«') {
        let (kind, after) = after.split_once('»').unwrap();
        let secret = draw(kind, random);
        text += &unescape(before);
        text += &secret;
        secrets.push(secret);
        rest = after;
    }
    (text + &unescape(rest), secrets)
}

/// Line breaks of the file.
fn unescape(text: &str) -> String {
    text.replace("\\\\n", "\0").replace("\\n", "\n").replace('\0', "\\n")
}

/// What is left of a secret, if it is too much.
fn leak<'s>(cleaned: &str, secret: &'s str) -> Option<&'s str> {
    let least = LEAK.min(secret.len());
    (0..=secret.len() - least).map(|at| &secret[at..at + least]).find(|part| cleaned.contains(part))
}

#[test]
fn secrets_of_known_shapes_are_removed_entirely() {
    let mut random = random();
    let (mut all, mut leaks) = (0, Vec::new());
    for shape in lines(SECRETS) {
        all += 1;
        // A shape is right if ten of ten drawings are.
        let leaked = (0..10).find_map(|_| {
            let (text, secrets) = fill(shape, &mut random);
            let (cleaned, _) = clean(&text);
            let part = secrets.iter().find_map(|secret| leak(&cleaned, secret))?;
            Some(format!("{shape}\n    {text}\n    {cleaned}\n    {part}"))
        });
        leaks.extend(leaked);
    }
    assert!(all >= 150, "{all} shapes");
    assert!(leaks.len() * 50 <= all, "{} of {all} leak:\n{}", leaks.len(), leaks.join("\n"));
}

#[test]
fn ordinary_lines_stay_as_they_are() {
    let (mut all, mut changed) = (0, Vec::new());
    for line in lines(HARMLESS) {
        all += 1;
        let (cleaned, _) = clean(line);
        if cleaned != line {
            changed.push(format!("{line}\n    {cleaned}"));
        }
    }
    assert!(all >= 150, "{all} lines");
    assert!(changed.len() * 100 <= all, "{} of {all} changed:\n{}", changed.len(), changed.join("\n"));
}

#[test]
fn of_a_thousand_random_passwords_nothing_is_left() {
    let mut random = random();
    let mut leaks = Vec::new();
    for n in 0..1000 {
        let password = draw(&format!("any:{}", 8 + n % 24), &mut random);
        let quoted = password.replace('\\', "\\\\").replace('"', "\\\"");
        for text in [
            format!("password={password}"),
            format!("connecting with DB_PASSWORD={password}"),
            format!("password: {password}"),
            format!("{{\"password\": \"{quoted}\", \"user\": \"app\"}}"),
            format!("{{\"name\":\"DB_PASSWORD\",\"value\":\"{quoted}\"}}"),
        ] {
            let (cleaned, _) = clean(&text);
            leaks.extend(leak(&cleaned, &password).map(|part| format!("{text}\n    {cleaned}\n    {part}")));
        }
    }
    assert!(leaks.is_empty(), "{} leak:\n{}", leaks.len(), leaks.join("\n"));
}

/// Patterns that go back and forth would take minutes.
#[test]
fn the_time_is_linear_in_the_text() {
    let pieces = [
        "password",
        "password=",
        "a",
        "=",
        " ",
        "\\",
        "\"",
        "name: token ",
        "https://",
        ":@",
        "-----BEGIN ",
        "-----END ",
        "AAAA\n",
        "curl -u a",
        "<password ",
        "Cookie: ",
        "authorization: ",
        "密码",
        "{{",
        "_",
        "key",
        "eyJ",
        "--token",
        "Bearer ",
        "login a ",
        "'",
        "\\n",
    ];
    let took = |text: &str| {
        let started = std::time::Instant::now();
        clean(text);
        started.elapsed()
    };
    took("password=warm");
    for piece in pieces {
        let short = (0..3).map(|_| took(&piece.repeat(4_000 / piece.len()))).min().unwrap();
        let long = (0..3).map(|_| took(&piece.repeat(16_000 / piece.len()))).min().unwrap();
        // Four times the text; sixteen times the time if it were quadratic.
        assert!(long < short * 10 + std::time::Duration::from_millis(50), "{piece:?}: {short:?} became {long:?}");
    }
}
