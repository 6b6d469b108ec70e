//! Texts of many components, versions and distributions, with what they mean: tables in `messages/`, a line for each
//! text. Names, addresses and ids in them are made up.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fmt::Debug;

use coroner_diagnosis::observation::{
    kube::message::{admission, create, image, mount, sandbox, start},
    log::{self, Line},
};
use jiff::Timestamp;

/// The rows of a table: columns are separated by tabs, and line breaks within a column are written `\n`.
fn rows(table: &'static str) -> impl Iterator<Item = Vec<String>> {
    let escaped = |column: &str| {
        let mut text = String::new();
        let mut chars = column.chars();
        while let Some(c) = chars.next() {
            match (c, if c == '\\' { chars.next() } else { None }) {
                ('\\', Some('n')) => text.push('\n'),
                ('\\', Some('r')) => text.push('\r'),
                ('\\', Some('t')) => text.push('\t'),
                ('\\', Some(other)) => text.push(other),
                _ => text.push(c),
            }
        }
        text
    };
    let lines = table.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(move |line| line.split('\t').map(escaped).collect())
}

/// Names that hold what parsers look for, as far as names may be chosen.
const NAMES: [&str; 12] = [
    "not-found",
    "denied-401",
    "unauthorized",
    "no-such-host",
    "x509-tls-eof",
    "toomanyrequests-429",
    "manifest-unknown",
    "no-space-left-on-device",
    "exec-format-error",
    "secret-not-found",
    "exceeded-quota",
    "failed-to-setup-network",
];

/// A text with other names for the objects that it mentions.
fn renamed(text: &str, name: &str) -> String {
    let image = format!("{name}/{name}");
    [("team/app", image.as_str()), ("pvc-1", name), ("web-0", name), ("web-5d9c", name), ("ns1", name)]
        .into_iter()
        .fold(text.to_owned(), |text, (old, new)| text.replace(old, new))
}

/// The name of the variant, and what it holds.
fn debug(found: impl Debug) -> String {
    format!("{found:?}")
}

/// Compares what a parser reads of each text with what the table gives for it, by the name of the variant, whatever
/// the objects are called.
#[track_caller]
fn compare(table: &'static str, read: impl Fn(&str) -> Option<String>) {
    let mut wrong = Vec::new();
    let mut count = 0;
    for row in rows(table) {
        let [expected, text] = &row[..] else { panic!("two columns: {row:?}") };
        for text in NAMES.iter().map(|name| renamed(text, name)).chain([text.clone()]) {
            let found = read(&text).unwrap_or_else(|| "-".to_owned());
            let variant = found.split([' ', '(', '{']).next().unwrap();
            count += 1;
            if variant != expected {
                wrong.push(format!("{found} instead of {expected}: {text}"));
            }
        }
    }
    assert!(count > 0, "the table is empty");
    assert!(wrong.is_empty(), "{} of {count}\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn image_pulls() {
    compare(include_str!("messages/image.tsv"), |text| image::pull(text).failure.map(debug));
}

/// What is not known is not the network's fault.
#[test]
fn sandboxes() {
    let read = |text: &str| Some(debug(sandbox::failure(text).unwrap_or(sandbox::Failure::Create)));
    compare(include_str!("messages/sandbox.tsv"), read);
}

#[test]
fn starts_of_containers() {
    compare(include_str!("messages/start.tsv"), |text| start::refusal(text).map(debug));
}

#[test]
fn configurations_of_containers() {
    compare(include_str!("messages/create.tsv"), |text| create::refusal(text).map(debug));
}

#[test]
fn volumes() {
    compare(include_str!("messages/mount.tsv"), |text| mount::failure(text).map(debug));
}

#[test]
fn creations_of_pods() {
    compare(include_str!("messages/admission.tsv"), |text| admission::refusal(text).map(debug));
}

#[test]
fn last_lines_of_logs() {
    let mut wrong = Vec::new();
    for row in rows(include_str!("messages/log.tsv")) {
        let [code, signal, text] = &row[..] else { panic!("three columns: {row:?}") };
        let line = |text: &str| Line { at: Timestamp::UNIX_EPOCH, stderr: true, text: text.to_owned() };
        let lines: Vec<_> = text.lines().map(line).collect();
        let code = code.parse().unwrap();
        let found = log::finding(&lines, code).filter(|(finding, _)| finding.agrees(code));
        let read =
            found.and_then(|(finding, _)| finding.signal()).map_or_else(|| "-".to_owned(), |number| number.to_string());
        if read != *signal {
            wrong.push(format!("{read} instead of {signal} with {code}: {text}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
