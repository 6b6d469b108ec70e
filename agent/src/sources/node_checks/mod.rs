//! The checks of the node as a whole, for verdicts of the examiner and for the node report: each reading goes to both,
//! and the report does not wait for the examiner.
//!
//! - [`daemons`]: whether kubelet and runtime have a process, and whether it is stopped.
//! - [`answers`]: whether they answer.
//! - [`certificate`], [`client_certificate`]: until when the kubelet's certificates are valid.
//! - [`last_words`]: what a daemon logged before it ended, in a file or in the journal.
//! - [`condition`]: pressure, tables, mounts, processes that the kernel does not let go.

mod answers;
mod certificate;
mod client_certificate;
mod condition;
mod daemons;
mod journal;
mod last_words;

use std::sync::Arc;

use coroner_diagnosis::{
    messages::{Message, health},
    observation::{
        Fact, Reason, Source,
        node::{Answer, Daemon, Process, Reading},
    },
    text,
};
use coroner_proto::v1::{Daemon as WireDaemon, DaemonState, NodeReport, UnobservedCheck};
use jiff::Timestamp;
use tokio::sync::Notify;

use super::{Settings, kubelet::Healthz, site::Site};
use crate::{
    report::{NodeState, part},
    status::wire_time,
};

/// Bytes of an error in the report.
const ERROR_MAX: usize = 256;

/// Starts the checks of the node, each in a task or thread of its own.
pub(super) fn spawn(site: &Site, settings: &Settings, state: &NodeState, healthz: &Arc<Healthz>) {
    let outlet = site.outlet(Source::NodeChecks);
    state.update(|report| report.unobserved_checks = unobserved(settings));
    let woken = Arc::new(Notify::new());
    daemons::spawn(site, &outlet, settings, state.clone(), Arc::clone(&woken));
    answers::spawn(site, &outlet, settings, state.clone(), Arc::clone(&woken), Arc::clone(healthz));
    certificate::spawn(site, &outlet, settings, state.clone(), woken, healthz);
    client_certificate::spawn(site, &outlet, &settings.host, state.clone());
    condition::spawn(site, &outlet, settings, state.clone());
}

/// The checks that cannot be made here, with the reason.
fn unobserved(settings: &Settings) -> Vec<UnobservedCheck> {
    let logs = last_words::unreadable(&settings.host);
    let lines = (!logs.is_empty()).then(|| ("last_lines", health::health_check_unreadable(logs)));
    let certificate = settings.kubelet.url.is_none();
    let certificate = certificate.then(|| ("certificate", health::health_check_no_kubelet()));
    let client = client_certificate::unreadable(&settings.host);
    let client = client.map(|path| ("client_certificate", health::health_check_unreadable(vec![path])));
    let unobserved = |(check, message): (&str, Message)| {
        let (reason, reason_message) = Reason::from(message).on_the_wire();
        UnobservedCheck { check: check.to_owned(), reason, reason_message }
    };
    lines.into_iter().chain(certificate).chain(client).map(unobserved).collect()
}

fn fact(reading: Reading) -> Fact {
    Fact::Node(reading)
}

/// Takes what /proc shows of a daemon into the report.
fn record_process(report: &mut NodeReport, daemon: Daemon, process: Option<Process>, started: Option<Timestamp>) {
    let part = part(report, daemon);
    let pid = process.map_or(0, |process| process.pid);
    if part.pid != 0 && pid != 0 && part.pid != pid {
        part.restart_count = part.restart_count.saturating_add(1);
    }
    if pid != 0 {
        part.pid = pid;
        part.start_time = started.map(wire_time);
    }
    match process {
        // A node may be without it, or it has another name here.
        None if part.state() == DaemonState::Unspecified => {}
        None => set(part, DaemonState::Down),
        Some(Process { stopped: true, .. }) => set(part, DaemonState::Hung),
        Some(_) if part.state() == DaemonState::Unspecified => set(part, DaemonState::Running),
        Some(_) => {}
    }
}

/// Takes the last lines of a process that ended into the report, where they are known.
fn record_lines(report: &mut NodeReport, daemon: Daemon, lines: &[String]) {
    if !lines.is_empty() {
        part(report, daemon).last_lines = lines.to_vec();
    }
}

/// Takes what a daemon answers into the report.
fn record_answer(report: &mut NodeReport, daemon: Daemon, answer: &Answer) {
    let part = part(report, daemon);
    let (state, error) = match answer {
        Answer::Ok => (DaemonState::Running, None),
        Answer::Denied(reason) => (DaemonState::Running, Some(reason.clone())),
        Answer::Unwell(reason) => (DaemonState::Unhealthy, Some(reason.clone())),
        Answer::Refused(reason) => (DaemonState::Down, Some(reason.clone())),
        Answer::Timeout => (DaemonState::Hung, Some(health::health_silent(answers::DEADLINE).into())),
    };
    let (error, message) = error.map(|error: Reason| error.on_the_wire()).unwrap_or_default();
    (part.error, part.error_message) = (text::clean(&error, ERROR_MAX), message);
    set(part, state);
}

fn set(part: &mut WireDaemon, state: DaemonState) {
    if part.state() != state {
        part.set_state(state);
        part.since_time = Some(wire_time(Timestamp::now()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_that_was_never_there_is_not_observed_and_one_that_has_gone_is_down() {
        let mut report = NodeReport::default();
        record_process(&mut report, Daemon::Runtime, None, None);
        assert_eq!(part(&mut report, Daemon::Runtime).state(), DaemonState::Unspecified);
        record_process(&mut report, Daemon::Runtime, Some(Process { pid: 7, stopped: false }), None);
        assert_eq!(part(&mut report, Daemon::Runtime).state(), DaemonState::Running);
        record_process(&mut report, Daemon::Runtime, None, None);
        assert_eq!(part(&mut report, Daemon::Runtime).state(), DaemonState::Down);
    }

    #[test]
    fn what_a_daemon_answers_is_text_and_message() {
        let mut report = NodeReport::default();
        record_answer(&mut report, Daemon::Kubelet, &Answer::Timeout);
        let daemon = part(&mut report, Daemon::Kubelet).clone();
        assert_eq!((daemon.state(), &*daemon.error), (DaemonState::Hung, "no answer within 3 s"));
        assert_eq!(daemon.error_message.map(|message| message.id), Some("health_silent".to_owned()));
        record_answer(&mut report, Daemon::Kubelet, &Answer::Unwell(Reason::quote("[-]syncloop failed\n")));
        let daemon = part(&mut report, Daemon::Kubelet).clone();
        assert_eq!((&*daemon.error, daemon.error_message), ("[-]syncloop failed\\n", None));
    }
}
