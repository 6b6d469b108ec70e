//! Numbers for people.

use std::fmt::Write;
use std::time::Duration;

/// Rows of spans, each beside the first row's median.
pub(crate) fn spans(title: &str, rows: &[(&str, Vec<Duration>, usize)]) -> String {
    let mut text = format!("| {title} | median | p99 | most | × | never |\n|---|---:|---:|---:|---:|---:|\n");
    let first = rows.first().and_then(|(_, spans, _)| quantile(spans, 0.5));
    for (name, spans, never) in rows {
        let show = |span: Option<Duration>| span.map_or_else(|| "-".to_owned(), milliseconds);
        let (median, p99, most) = (quantile(spans, 0.5), quantile(spans, 0.99), quantile(spans, 1.0));
        let ratio = median
            .zip(first)
            .map_or_else(|| "-".to_owned(), |(span, first)| format!("{:.2}", span.as_secs_f64() / first.as_secs_f64()));
        writeln!(text, "| {name} | {} | {} | {} | {ratio} | {never} |", show(median), show(p99), show(most))
            .expect("writing to a string cannot fail");
    }
    text
}

/// Rows of rates, a second, each compared with the first; a row without one states the reason.
pub(crate) fn rates(title: &str, unit: &str, rows: &[(String, Result<f64, String>)]) -> String {
    let mut text = format!("| {title} | {unit} | × |\n|---|---:|---:|\n");
    let first = rows.first().and_then(|(_, rate)| rate.as_ref().ok()).copied().unwrap_or(f64::NAN);
    for (name, rate) in rows {
        let written = match rate {
            Ok(rate) => writeln!(text, "| {name} | {rate:.0} | {:.2} |", rate / first),
            Err(why) => writeln!(text, "| {name} | {why} | - |"),
        };
        written.expect("writing to a string cannot fail");
    }
    text
}

/// Rows of names and values.
pub(crate) fn values(title: &str, rows: &[(&str, String)]) -> String {
    let mut text = format!("| {title} | |\n|---|---:|\n");
    for (name, value) in rows {
        writeln!(text, "| {name} | {value} |").expect("writing to a string cannot fail");
    }
    text
}

/// The smallest span that is at least as long as the given part of all.
pub(crate) fn quantile(spans: &[Duration], part: f64) -> Option<Duration> {
    let mut sorted = spans.to_vec();
    sorted.sort_unstable();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to the number of spans")]
    let rank = (part * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied()
}

pub(crate) fn milliseconds(span: Duration) -> String {
    let places = if span < Duration::from_millis(1) { 2 } else { 1 };
    format!("{:.places$} ms", span.as_secs_f64() * 1000.0)
}

pub(crate) fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / coroner_tests::MIB as f64)
}
