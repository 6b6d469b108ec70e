//! Signals were not observed, but Docker reports which ones it was asked to send. On whose behalf, only the kubelet and
//! the API server report.

use coroner_proto::v1::{Cause, Confidence, StopRequester};
use jiff::{SignedDuration, Timestamp};

use super::{
    death::{CLOCKS, Death, Ending},
    manner::Manner,
    stopped::{STOP_SIGNALS, grace, not_for_memory, on_whose_behalf},
};
use crate::{messages::stop, observation::Source, verdict::Verdict};

pub(super) fn end(death: &Death<'_>) -> Option<Verdict> {
    let code = death.code?;
    let since = (death.at - grace(death) - CLOCKS).max(death.file.first_seen - CLOCKS);
    let sent: Vec<_> = death.file.runtime_kills.iter().filter(|(at, _)| in_time(since, *at, death.at)).collect();
    let asked = sent.iter().find(|(_, signal)| STOP_SIGNALS.contains(signal));
    let killed = sent.iter().rfind(|(at, signal)| *signal == 9 && in_time(death.at - CLOCKS, *at, death.at));
    let (first, _) = asked.or(killed)?;
    let observed = death.observed_signals_since(*first);
    if observed && death.keeps_signals_since(*first) {
        return None; // and the signals that reached it show otherwise
    }
    let by_kill = code == 137 && !matches!(death.ending(), Ending::Exit(_));
    let observed_all = death.node.covered(Source::Docker, since.max(death.file.first_seen), death.at);
    let (_, signal) = asked.or(killed)?;
    let (cause, manner, how) = match (asked, killed) {
        (Some((asked, _)), Some((killed, _))) if by_kill => {
            let waited = killed.duration_since(*asked);
            (Cause::GracePeriodExceeded, Manner::KilledAfter(waited), stop::docker_ignored(*signal, waited))
        }
        (None, Some(_)) if by_kill && observed_all => {
            (Cause::StoppedByRequest, Manner::AtOnce, stop::docker_without_signal())
        }
        (None, Some(_)) if by_kill => (Cause::GracePeriodExceeded, Manner::Killed, stop::docker_before_unknown()),
        (Some((asked, _)), _) if !by_kill => {
            let took = death.at.duration_since(*asked).max(SignedDuration::ZERO);
            (Cause::StoppedByRequest, Manner::Obeyed, stop::docker_obeyed(*signal, took))
        }
        _ => return None, // a SIGKILL that Docker did not send
    };
    let mut verdict = Verdict::new(cause, Confidence::Likely, death.at).headed(manner.headline(None)).explained(how);
    for (at, signal) in asked.into_iter().chain(killed.filter(|_| by_kill)) {
        verdict = verdict.supported_by(Source::Docker, *at, format!("kill, signal {signal}"));
    }
    verdict = not_for_memory(death, verdict);
    if !observed {
        verdict = verdict.without(Source::Signals);
    }
    verdict.requested_by = StopRequester::Runtime;
    verdict.exit = death.exit(match death.ending() {
        Ending::Signal(number) => number,
        Ending::Unknown if by_kill => 9,
        Ending::Exit(_) | Ending::Unknown => 0,
    });
    verdict.process = death.main_process();
    Some(on_whose_behalf(death, verdict).waiting())
}

fn in_time(from: Timestamp, at: Timestamp, end: Timestamp) -> bool {
    (from..=end + CLOCKS).contains(&at)
}
