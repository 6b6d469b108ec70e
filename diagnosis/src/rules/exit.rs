//! The program ended by itself, with a status other than 0; also where that status looks like a signal.

use coroner_proto::v1::{Cause, Confidence};

use super::{
    death::{Death, Ending},
    fabricated::LOST,
    log_finding::{LogFinding, log_finding},
    stopped::not_for_memory,
};
use crate::{
    messages::{common, exit as texts},
    observation::{Source, process::WaitStatus},
    verdict::Verdict,
};

pub(super) fn end(death: &Death<'_>) -> Option<Verdict> {
    let Ending::Exit(code) = death.ending() else { return None };
    // 255 is also what a runtime makes up that lost the process: only a source that observed the end, or what the
    // program wrote as its last words, can decide.
    let seen = death.wait.is_some() || death.file.task_exit.is_some();
    let log = log_finding(death);
    if code == 0 || code == LOST && !seen && log.is_none() {
        return None;
    }
    let watched = death.watched_before_end();
    let number = code - 128;
    // That it chose to end is certain. But of an everyday status the program's own log may name a better cause, as a
    // missing command or a read-only volume.
    let confidence = if watched && number > 0 { Confidence::Certain } else { Confidence::Likely };
    let why = match watched {
        true if (1..=64).contains(&number) => texts::exit_like_signal(number),
        true => texts::exit_no_signal(),
        false => texts::exit_signals_unknown(),
    };
    let headline = match &log {
        Some(log) => texts::exit_with_log(code, log.reason.clone()),
        None => texts::exit_by_itself(code),
    };
    let mut verdict = Verdict::new(Cause::ApplicationExit, confidence, death.at).headed(headline).explained(why);
    if let Some(status) = death.wait {
        let statement = match status {
            WaitStatus::Exited(code) => common::exit_waited(i32::from(code)),
            WaitStatus::Signaled(signal) => common::exit_waited_signal(i32::from(signal)),
        };
        verdict = verdict.supported_by(Source::ProcessEvents, death.at, statement);
    }
    verdict = not_for_memory(death, verdict.supported(death.reported_end()));
    if watched {
        verdict = verdict.against(Source::Signals, death.at, texts::exit_not_killed());
    } else {
        verdict = verdict.or_else(Cause::StoppedByRequest, texts::exit_maybe_asked()).without(Source::Signals);
    }
    if let Some(log) = log {
        verdict = by_log(verdict, &log);
    }
    verdict.exit = death.exit(0);
    verdict.process = death.main_process();
    Some(verdict.waiting())
}

/// What its log shows of why it ended.
fn by_log(mut verdict: Verdict, log: &LogFinding) -> Verdict {
    if let Some(cause) = log.cause {
        verdict.cause = cause;
        verdict.confidence = Confidence::Likely;
        verdict = verdict.or_else(Cause::ApplicationExit, texts::exit_log_is_own());
    }
    verdict.contributing.extend(log.contributing);
    verdict.explained(log.of_another.then(texts::exit_log_of_another)).supported([log.line.clone()])
}
