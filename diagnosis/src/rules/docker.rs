//! Nobody watched which signals were sent, but Docker says which ones it was asked to send. On whose behalf, only the kubelet
//! and the API server can tell.

use coroner_proto::v1::{Cause, Confidence, StopRequester};
use jiff::{SignedDuration, Timestamp};

use super::{
    death::{CLOCKS, Death, Ending},
    stopped::{STOP_SIGNALS, grace, not_for_memory, on_whose_behalf, seconds},
};
use crate::{observation::Source, signal::signal_name, verdict::Verdict};

pub(super) fn end(death: &Death<'_>) -> Option<Verdict> {
    let code = death.code?;
    let since = (death.at - grace(death) - CLOCKS).max(death.file.first_seen - CLOCKS);
    let sent: Vec<_> = death.file.runtime_kills.iter().filter(|(at, _)| in_time(since, *at, death.at)).collect();
    let asked = sent.iter().find(|(_, signal)| STOP_SIGNALS.contains(signal));
    let killed = sent.iter().rfind(|(at, signal)| *signal == 9 && in_time(death.at - CLOCKS, *at, death.at));
    let (first, _) = asked.or(killed)?;
    let watched = death.node.covered(Source::Signals, (*first).max(death.file.first_seen), death.at);
    if watched && death.main.is_some() {
        return None; // and the signals that reached it say otherwise
    }
    let by_kill = code == 137 && !matches!(death.ending(), Ending::Exit(_));
    let heard_all = death.node.covered(Source::Docker, since.max(death.file.first_seen), death.at);
    let (cause, summary, how) = match (asked, killed) {
        (Some((asked, _)), Some((killed, _))) if by_kill => {
            let waited = seconds(killed.duration_since(*asked));
            let summary = format!("Asked to stop, did not within {waited}, and was killed");
            (Cause::GracePeriodExceeded, summary, format!("{waited} later it still ran, and Docker sent SIGKILL"))
        }
        (None, Some(_)) if by_kill && heard_all => {
            let summary = "Stopped at once on request, without a grace period".to_owned();
            (Cause::StoppedByRequest, summary, "it had not been asked to stop before".to_owned())
        }
        (None, Some(_)) if by_kill => {
            let summary = "Killed by Docker, as after a grace period".to_owned();
            (Cause::GracePeriodExceeded, summary, "whether it had been asked to stop before is not known".to_owned())
        }
        (Some((asked, _)), _) if !by_kill => {
            let took = seconds(death.at.duration_since(*asked).max(SignedDuration::ZERO));
            (Cause::StoppedByRequest, "Stopped on request".to_owned(), format!("it ended within {took}"))
        }
        _ => return None, // a SIGKILL that Docker did not send
    };
    let (_, signal) = asked.or(killed)?;
    let explanation = format!(
        "Docker was asked to send its main process {}; {how}. Nobody watched which signals reached it.",
        signal_name(*signal)
    );
    let mut verdict = Verdict::new(cause, Confidence::Likely, death.at).told(summary, explanation);
    for (at, signal) in asked.into_iter().chain(killed.filter(|_| by_kill)) {
        verdict = verdict.by(Source::Docker, *at, format!("kill, signal {signal}"));
    }
    verdict = not_for_memory(death, verdict).without(Source::Signals);
    verdict.requested_by = StopRequester::Runtime;
    verdict.exit = death.exit(match death.ending() {
        Ending::Signal(number) => number,
        Ending::Unknown if by_kill => 9,
        Ending::Exit(_) | Ending::Unknown => 0,
    });
    verdict.process = death.main_process();
    Some(on_whose_behalf(verdict).waiting())
}

fn in_time(from: Timestamp, at: Timestamp, end: Timestamp) -> bool {
    (from..=end + CLOCKS).contains(&at)
}
