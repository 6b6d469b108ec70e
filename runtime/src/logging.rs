//! Logs to stderr, as lines of text or of JSON.
//!
//! - Logging never fails or blocks the caller ([`stderr`]): not when stderr is closed, and not when it is not read.
//! - Only Coroner's own lines are written, unless `RUST_LOG` selects others: failures of a library are returned as
//!   errors, and are reported with their context where they are handled.
//! - Lines of one place in the program that repeat are limited ([`limit`]).

mod limit;
mod stderr;

use std::io::IsTerminal as _;

use clap::ValueEnum;
use tracing::warn;
use tracing_subscriber::{
    Layer as _,
    filter::{LevelFilter, Targets},
    fmt::format,
    layer::SubscriberExt as _,
    registry,
    util::SubscriberInitExt as _,
};

use self::{limit::Limited, stderr::Stderr};

/// The format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts logging. To be called once, by `main`. `RUST_LOG` selects lines, for example `coroner_agent=debug,kube=info`;
/// by default those of Coroner from INFO up.
pub fn start(log: Format) {
    let (filter, unreadable) = filter(std::env::var("RUST_LOG").ok().as_deref());
    let lines = tracing_subscriber::fmt::layer().log_internal_errors(false).with_writer(Stderr::default);
    match log {
        Format::Text => {
            let ansi = std::io::stderr().is_terminal();
            let lines =
                lines.with_ansi(ansi).event_format(Limited::new(log, format().with_target(false).with_ansi(ansi)));
            registry().with(lines.with_filter(filter)).init();
        }
        Format::Json => {
            let lines =
                lines.json().event_format(Limited::new(log, format().json().flatten_event(true).with_span_list(false)));
            registry().with(lines.with_filter(filter)).init();
        }
    }
    if let Some(reason) = unreadable {
        warn!(reason, "RUST_LOG cannot be read: Coroner's own lines are logged from INFO up");
    }
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let reason = panic.payload_as_str().unwrap_or("no message");
        tracing::error!(reason, place, "Panicked");
    }));
}

/// What `RUST_LOG` asks for, and why it cannot be had.
fn filter(asked: Option<&str>) -> (Targets, Option<String>) {
    let ours = || Targets::new().with_target("coroner", LevelFilter::INFO);
    match asked {
        None | Some("") => (ours(), None),
        Some(asked) => {
            asked.parse().map_or_else(|error| (ours(), Some(format!("{asked:?}: {error}"))), |read| (read, None))
        }
    }
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn only_our_own_lines_are_written_unless_others_are_asked_for() {
        let (filter, unreadable) = filter(None);
        assert_eq!(unreadable, None);
        assert!(filter.would_enable("coroner_agent::sources::cri", &Level::INFO));
        assert!(!filter.would_enable("coroner_agent::sources::cri", &Level::DEBUG));
        assert!(!filter.would_enable("kube_client::client::builder", &Level::ERROR));
        let (asked, unreadable) = super::filter(Some("coroner_agent=debug,kube_client=error"));
        assert_eq!(unreadable, None);
        assert!(asked.would_enable("coroner_agent::app", &Level::DEBUG));
        assert!(asked.would_enable("kube_client::client", &Level::ERROR));
        assert!(super::filter(Some("coroner=verbose")).1.is_some());
    }
}
