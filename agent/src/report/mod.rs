//! The node report: what the aggregator learns of this node every few seconds, and at once when something changes.
//!
//! It is held in memory only and depends on nothing that may fail with the node: neither outbox nor examiner, kubelet,
//! runtime or API server. The checks of `sources::node_checks` write into a [`NodeState`],
//! whatever the examiner makes of the same readings; [`Reporter`] sends it.

pub mod api_server;
pub mod boots;
mod peers;

use std::{sync::Arc, time::Duration};

use coroner_diagnosis::observation::{
    Fact,
    kernel_log::Trouble,
    node::{Daemon, Reading, Reference},
    process::WaitStatus,
};
use coroner_proto::v1::{
    self as wire, KernelFault, NodeReport, ProbeResult, ReportNodeRequest, ReportNodeResponse, Stopping,
    node_report_service_client::NodeReportServiceClient,
};
use coroner_runtime::backoff::{Backoff, jittered};
use coroner_watch::ServerClock;
use jiff::{SignedDuration, Timestamp};
use tokio::{
    select,
    sync::watch,
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status, transport::Channel};
use tracing::{debug, info, warn};

use crate::{
    config::Aggregator,
    node::uptime,
    sources::outlet::Outlet,
    status::wire_time,
    uplink::{channel, describe, signed},
};

/// Time between two reports, unless the aggregator asks for another.
const INTERVAL: Duration = Duration::from_secs(5);
/// What the aggregator may ask for.
const INTERVALS: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(60);
/// Changes are reported at once, but no more often than this.
const SPACING: Duration = Duration::from_millis(200);
/// How long a report may take.
const DEADLINE: Duration = Duration::from_secs(4);
/// The last report may take so long.
const LAST: Duration = Duration::from_secs(1);
/// The longest delay after reports that failed.
const LONGEST_DELAY: Duration = Duration::from_secs(10);
/// The delay after a refusal that only an operator can end: an aggregator of an older version knows no reports.
const HOLD: Duration = Duration::from_secs(60);
/// Faults of the kernel that a report holds.
const FAULTS: usize = 16;
/// An offset between clocks that was measured over a longer way is not exact enough to be reported.
const EXACT: Duration = Duration::from_secs(2);

/// The state of the node, as the checks last saw it. Cloned freely; all clones are one.
#[derive(Clone, Debug)]
pub struct NodeState {
    report: Arc<watch::Sender<NodeReport>>,
    /// The API server's clock, as answers to the agent's watches show it.
    pub api_clock: ServerClock,
}

impl Default for NodeState {
    fn default() -> Self {
        Self { report: Arc::new(watch::Sender::new(NodeReport::default())), api_clock: ServerClock::default() }
    }
}

impl NodeState {
    /// Changes the state; it is part of the next report.
    pub fn update(&self, change: impl FnOnce(&mut NodeReport)) {
        self.report.send_if_modified(|report| {
            change(report);
            false
        });
    }

    /// Changes the state; if it is another one then, that is reported at once.
    pub fn change(&self, change: impl FnOnce(&mut NodeReport)) {
        self.report.send_if_modified(|report| {
            let before = report.clone();
            change(report);
            *report != before
        });
    }

    /// Adds a fault that the kernel reported, or leaves out the one of which it reported the end.
    pub fn fault(&self, at: Timestamp, trouble: &Trouble, line: &str) {
        if let Some(ended) = trouble.kind.ends() {
            return self.change(|report| report.kernel_faults.retain(|fault| fault.kind != ended.name()));
        }
        self.change(|report| {
            let kind = trouble.kind.name();
            let known = report.kernel_faults.iter().position(|fault| fault.kind == kind);
            let before = known.map_or(0, |index| report.kernel_faults.remove(index).count);
            let line = coroner_diagnosis::text::clean(line, 256);
            let fault = KernelFault { kind: kind.to_owned(), time: Some(wire_time(at)), line, count: before + 1 };
            report.kernel_faults.insert(0, fault);
            report.kernel_faults.truncate(FAULTS);
        });
    }

    /// The daemon that this process was last known to be.
    pub fn daemon_of(&self, pid: i32) -> Option<Daemon> {
        let report = self.report.borrow();
        let is_it = |part: &Option<wire::Daemon>| part.as_ref().is_some_and(|part| part.pid == pid);
        let daemons = [(Daemon::Kubelet, &report.kubelet), (Daemon::Runtime, &report.runtime)];
        daemons.into_iter().find(|(_, part)| pid > 0 && is_it(part)).map(|(daemon, _)| daemon)
    }

    /// Takes how the process of a daemon ended.
    pub fn ended(&self, daemon: Daemon, status: WaitStatus) {
        self.change(|report| {
            let part = part(report, daemon);
            (part.last_exit_code, part.last_signal) = match status {
                WaitStatus::Exited(code) => (Some(code.into()), 0),
                WaitStatus::Signaled(signal) => (None, signal.into()),
            };
        });
    }

    /// The report of the state as it is now.
    pub fn now(&self) -> NodeReport {
        self.report.borrow().clone()
    }
}

/// The part of a report that is about this daemon.
pub(crate) fn part(report: &mut NodeReport, daemon: Daemon) -> &mut wire::Daemon {
    let part = match daemon {
        Daemon::Kubelet => &mut report.kubelet,
        Daemon::Runtime => &mut report.runtime,
    };
    part.get_or_insert_default()
}

/// The task that sends the reports of the node.
#[derive(Clone, Debug)]
pub struct Reporter {
    /// The name of the Node object, or else the hostname.
    pub node: String,
    /// The aggregator that reports are sent to.
    pub aggregator: Aggregator,
    /// What the checks have found so far; a change of it is reported at once.
    pub state: NodeState,
    /// To the examiner, for the offset between the clocks.
    pub outlet: Outlet,
    /// The port of this agent's health, by which peers are probed: all agents have the same.
    pub health_port: u16,
    /// The node's /run, which shows whether the whole host is being shut down.
    pub run: std::path::PathBuf,
}

/// What the answer to a report sets for the next.
struct Next {
    at: Instant,
    delays: Backoff,
    /// Whether the last report failed.
    is_failing: bool,
    results: Vec<ProbeResult>,
}

impl Reporter {
    /// Reports until it is stopped, then once more that the agent stops.
    ///
    /// # Errors
    /// Never: what the aggregator does is tried again.
    pub async fn run(self, stop: CancellationToken) -> Result<(), std::convert::Infallible> {
        let mut changes = self.state.report.subscribe();
        let mut client = None;
        let delays = Backoff::new(Duration::from_secs(1), LONGEST_DELAY);
        let mut next = Next { at: Instant::now(), delays, is_failing: false, results: Vec::new() };
        loop {
            select! {
                () = stop.cancelled() => break,
                () = sleep_until(next.at) => {}
                _changed = changes.changed(), if !next.is_failing => {
                    if stop.run_until_cancelled(sleep(SPACING)).await.is_none() {
                        break;
                    }
                }
            }
            changes.mark_unchanged();
            let Some(()) = stop.run_until_cancelled(self.report(&mut client, &mut next)).await else { break };
        }
        let stopping = Stopping { time: Some(wire_time(Timestamp::now())), host: boots::is_host_stopping(&self.run) };
        self.state.update(|report| report.stopping = Some(stopping));
        let _unreported = timeout(LAST, self.call(&mut client, Vec::new())).await;
        Ok(())
    }

    async fn report(&self, client: &mut Option<NodeReportServiceClient<Channel>>, next: &mut Next) {
        let results = std::mem::take(&mut next.results);
        let sent = (Timestamp::now(), Instant::now());
        let answer = timeout(DEADLINE, self.call(client, results)).await;
        match answer.unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer in time"))) {
            Ok(answer) => {
                if next.is_failing {
                    info!("The aggregator takes the node report again");
                }
                next.is_failing = false;
                next.delays.reset();
                self.compare_clocks(sent, answer.time).await;
                let asked = answer.next_interval.and_then(|interval| Duration::try_from(interval).ok());
                let interval = asked.map_or(INTERVAL, |asked| asked.clamp(*INTERVALS.start(), *INTERVALS.end()));
                next.at = sent.1 + interval;
                if !answer.probe_targets.is_empty() {
                    next.results = peers::probe(answer.probe_targets, self.health_port).await;
                    next.at = Instant::now();
                }
            }
            Err(status) => {
                *client = None;
                if !next.is_failing {
                    warn!(code = ?status.code(), why = describe(&status), "The aggregator does not take the node report");
                }
                next.is_failing = true;
                let refused =
                    matches!(status.code(), Code::Unimplemented | Code::PermissionDenied | Code::Unauthenticated);
                next.at = Instant::now() + if refused { jittered(HOLD) } else { next.delays.next() };
            }
        }
    }

    async fn call(
        &self,
        client: &mut Option<NodeReportServiceClient<Channel>>,
        probe_results: Vec<ProbeResult>,
    ) -> Result<ReportNodeResponse, Status> {
        self.state.update(|report| {
            report.sequence += 1;
            report.time = Some(wire_time(Timestamp::now()));
            report.uptime = uptime().map(wire_duration);
        });
        let request = ReportNodeRequest { node: self.node.clone(), report: Some(self.state.now()), probe_results };
        let request = signed(request, self.aggregator.token.as_deref())?;
        let client = match client {
            Some(client) => client,
            none => none.insert(NodeReportServiceClient::new(channel(&self.aggregator)?)),
        };
        client.report_node(request).await.map(tonic::Response::into_inner)
    }

    /// Takes the offset between this clock and the aggregator's: half of the way there and back is deducted.
    async fn compare_clocks(&self, (sent, since): (Timestamp, Instant), theirs: Option<prost_types::Timestamp>) {
        let way = since.elapsed();
        let theirs = theirs.and_then(|time| Timestamp::new(time.seconds, time.nanos).ok());
        let Some(theirs) = theirs.filter(|_| way < EXACT) else { return };
        let offset = (sent + way / 2).duration_since(theirs);
        debug!(%offset, "Compared clocks with the aggregator");
        self.state.update(|report| report.aggregator_clock_offset = Some(wire_duration(offset)));
        let reading = Fact::Node(Reading::Clock(Reference::Aggregator, offset));
        // What the examiner cannot take now, the next answer repeats.
        self.outlet.try_send(self.outlet.now(reading));
    }
}

fn wire_duration(duration: SignedDuration) -> prost_types::Duration {
    prost_types::Duration { seconds: duration.as_secs(), nanos: duration.subsec_nanos() }
}

#[cfg(test)]
mod tests {
    use coroner_diagnosis::observation::kernel_log::TroubleKind;

    use super::*;

    #[test]
    fn a_fault_goes_with_the_report_of_its_end() {
        let state = NodeState::default();
        let kinds = || state.now().kernel_faults.into_iter().map(|fault| fault.kind).collect::<Vec<_>>();
        let report = |kind| {
            let trouble = Trouble { kind, about: "nas-1".to_owned() };
            state.fault(Timestamp::UNIX_EPOCH, &trouble, "a line");
        };
        report(TroubleKind::HungTask);
        report(TroubleKind::NfsNotResponding);
        assert_eq!(kinds(), ["NFS_NOT_RESPONDING", "HUNG_TASK"]);
        report(TroubleKind::NfsOk);
        assert_eq!(kinds(), ["HUNG_TASK"]);
    }
}
