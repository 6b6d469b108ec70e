//! The program ended by itself, with a status other than 0; also where that status looks like a signal.

use coroner_proto::v1::{Cause, Confidence};
use jiff::SignedDuration;

use super::{
    death::{CLOCKS, Death, Ending},
    fabricated::LOST,
    last_words::{LastWords, last_words},
    stopped::not_for_memory,
};
use crate::{observation::Source, signal::signal_name, verdict::Verdict};

/// How long before its end somebody may have asked it to stop.
const REQUEST: SignedDuration = SignedDuration::from_secs(30);

pub(super) fn end(death: &Death<'_>) -> Option<Verdict> {
    let Ending::Exit(code) = death.ending() else { return None };
    // 255 is also what a runtime makes up that lost the process: only who saw it end can tell.
    let seen = death.wait.is_some() || death.file.task_exit.is_some();
    let words = last_words(death);
    let names_cause = words.as_ref().is_some_and(|words| words.cause.is_some());
    if code == 0 || code == LOST && !seen && !names_cause {
        return None;
    }
    let since = (death.at - REQUEST).max(death.file.first_seen + CLOCKS.min(SignedDuration::ZERO));
    let watched = death.node.covered(Source::Signals, since, death.at);
    let number = code - 128;
    // That it chose to end is certain. But of an everyday status the program's own log may name a better cause, as a missing
    // command or a read-only volume.
    let confidence = if watched && number > 0 { Confidence::Certain } else { Confidence::Likely };
    let looks_like = if (1..=64).contains(&number) {
        format!(" The status looks like {}, but no such signal reached it.", signal_name(number))
    } else {
        String::new()
    };
    let mut verdict = Verdict::new(Cause::ApplicationExit, confidence, death.at).told(
        format!("The program ended by itself with status {code}"),
        format!("Its main process called exit with status {code}. Why, only its own log can tell.{looks_like}"),
    );
    if let Some(status) = death.wait {
        verdict = verdict.by(
            Source::ProcessEvents,
            death.at,
            format!("the main process {status}, by the kernel's wait status"),
        );
    }
    if let Some((source, at, said)) = death.file.said_exit() {
        verdict = verdict.by(source, at, said);
    } else if let Some(reported) = death.reported() {
        verdict = verdict.by(reported.source, death.at, format!("reason {}, exit code {code}", death.reason()));
    }
    verdict = not_for_memory(death, verdict);
    if watched {
        verdict = verdict.against(Source::Signals, death.at, "not killed: no fatal signal reached its main process");
    } else {
        verdict = verdict
            .or_else(
                Cause::StoppedByRequest,
                "it may have been asked to stop: the tracepoint signal_generate would tell",
            )
            .without(Source::Signals);
    }
    if let Some(words) = words {
        verdict = by_last_words(verdict, &words);
    }
    verdict.exit = death.exit(0);
    verdict.process = death.main_process();
    Some(verdict.waiting())
}

/// What its log says of why it ended.
fn by_last_words(mut verdict: Verdict, words: &LastWords<'_>) -> Verdict {
    let whose = if words.of_another { "Another instance, which ended with the same status, " } else { "It " };
    let explanation = format!("{} {whose}logged that {}.", verdict.explanation, words.means);
    let summary = format!("{}: {}", verdict.summary, words.means);
    if let Some(cause) = words.cause {
        verdict.cause = cause;
        verdict.confidence = Confidence::Likely;
        verdict = verdict.or_else(Cause::ApplicationExit, "the log is the program's own word");
    }
    verdict.contributing.extend(words.contributing);
    verdict.told(summary, explanation).by(Source::Logs, words.line.at, &words.line.text)
}
