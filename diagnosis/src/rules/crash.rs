//! Crashed: a fatal signal of the program's own making, in the main process or passed on by it as 128 + n.

use coroner_proto::v1::{Cause, Confidence, Exit};
use jiff::Timestamp;

use super::{
    death::{CLOCKS, Death, Ending, MOMENT},
    stopped::{Sender, sender},
};
use crate::{
    case::{AuditedEnd, Line},
    observation::{
        Source,
        kernel_log::{Fault, FaultKind},
        trace::Signal,
    },
    signal::signal_name,
    text,
    verdict::Verdict,
};

pub(super) fn end(death: &Death<'_>) -> Option<Verdict> {
    main_crashed(death).or_else(|| passed_on(death))
}

/// The cause that a fatal signal of a program's own making stands for.
pub(super) fn cause(signal: i32) -> Option<Cause> {
    Some(match signal {
        4 => Cause::CrashIllegalInstruction,
        6 => Cause::CrashAbort,
        7 => Cause::CrashBusError,
        8 => Cause::CrashArithmetic,
        11 => Cause::CrashSegfault,
        31 => Cause::CrashSeccomp,
        _ => return None,
    })
}

fn main_crashed(death: &Death<'_>) -> Option<Verdict> {
    let Ending::Signal(number) = death.ending() else { return None };
    let cause = cause(number)?;
    let sent = death.signal(number);
    if let Some((_, signal)) = sent
        && matches!(sender(death, signal), Sender::Other | Sender::Runtime)
    {
        return None;
    }
    let fault = death.fault_of_main();
    let audit = audit(death, death.main?, number);
    let aborted = aborting(death);
    let (cause, confidence) = match (cause, &fault) {
        (Cause::CrashSegfault, _) if aborted.is_some() => (Cause::CrashAbort, Confidence::Certain),
        // Without the tracepoint, abort() of a process that ignores SIGABRT, as PID 1 does, looks like this one.
        (Cause::CrashSegfault, Some((_, line)))
            if sent.is_none() && line.event.kind == FaultKind::GeneralProtection =>
        {
            (cause, Confidence::Likely)
        }
        (_, None) if sent.is_none() && audit.is_none() => (cause, Confidence::Likely),
        _ => (cause, Confidence::Certain),
    };
    let mut verdict = tell(death, cause, confidence, number, "Its main process", fault);
    if let Some((at, signal)) = aborted {
        verdict = verdict.by(Source::Signals, at, said(signal));
    }
    if let Some((at, signal)) = sent {
        verdict = verdict.by(Source::Signals, at, said(signal));
        verdict =
            verdict.against(Source::Signals, at, "not killed from outside: the signal arose in the process itself");
    } else if fault.is_none() && audit.is_none() {
        verdict = verdict.or_else(Cause::KilledExternally, "the tracepoint signal_generate would name the sender");
    }
    if sent.is_none() && !death.covered(Source::Signals) {
        verdict = verdict.without(Source::Signals);
    }
    if confidence != Confidence::Certain {
        verdict = verdict.waiting();
    }
    if let Some((at, line)) = audit {
        verdict = verdict.by(Source::KernelLog, at, &line.text);
    }
    verdict.process = death.main_process();
    Some(verdict)
}

/// abort() in a process that ignores SIGABRT: glibc then executes a privileged instruction, and SIGSEGV ends it.
fn aborting<'a>(death: &Death<'a>) -> Option<(Timestamp, &'a Signal)> {
    let own = |signal: &Signal| matches!(sender(death, signal), Sender::Own);
    death
        .signals
        .iter()
        .rev()
        .find(|(at, s)| s.signal == 6 && own(s) && death.at.duration_since(*at) <= CLOCKS)
        .copied()
}

/// A child crashed, and the main process gave its signal on as 128 + n.
fn passed_on(death: &Death<'_>) -> Option<Verdict> {
    let code = death.code?;
    if !matches!(death.ending(), Ending::Exit(_) | Ending::Unknown) {
        return None;
    }
    let number = code - 128;
    let cause = cause(number)?;
    let (from, to) = (death.at - MOMENT, death.at + CLOCKS);
    // A child that is known to be one.
    for pid in death.file.processes.keys().filter(|pid| Some(**pid) != death.main) {
        let fault = death
            .node
            .processes
            .faults
            .of(*pid, from, to)
            .find(|(_, line)| signal_of(&line.event.kind) == Some(number));
        let sent = death.node.processes.signals.of(*pid, from, to).find(|(_, s)| s.signal == number && s.reached());
        let audit = audit(death, *pid, number);
        let waited = death.node.processes.exits.of(*pid, from, to).any(|(_, status)| status.as_exit_code() == code);
        let own = sent.is_none_or(|(_, signal)| matches!(sender(death, signal), Sender::Own));
        if own && (fault.is_some() || sent.is_some() || audit.is_some() || waited) {
            let mut verdict = tell(death, cause, Confidence::Certain, number, "A child of its main process", fault);
            if let Some((at, signal)) = sent {
                verdict = verdict.by(Source::Signals, at, said(signal));
            }
            if let Some((at, line)) = audit {
                verdict = verdict.by(Source::KernelLog, at, &line.text);
            }
            verdict.process = Some(death.process(*pid));
            return Some(verdict);
        }
    }
    strangers_crash(death, cause, number)
}

/// A thread that nobody has placed crashed at the very moment: a short-lived child, or a thread of the main process.
fn strangers_crash(death: &Death<'_>, cause: Cause, number: i32) -> Option<Verdict> {
    let (from, to) = (death.at - MOMENT, death.at + MOMENT);
    let faults = death
        .node
        .processes
        .faults
        .between(from, to)
        .filter(|(tid, _, line)| signal_of(&line.event.kind) == Some(number) && death.node.owner(*tid).is_none());
    let sent = death.node.processes.signals.between(from, to).filter(|(tid, _, signal)| {
        let own = signal.sender.tid == signal.target.tid;
        own && signal.signal == number && signal.reached() && death.node.owner(*tid).is_none()
    });
    let fault = faults.min_by_key(|(_, at, _)| death.at.duration_since(*at).abs());
    let signal = sent.min_by_key(|(_, at, _)| death.at.duration_since(*at).abs());
    let (tid, name) = match (&fault, &signal) {
        (Some((tid, _, line)), _) => (*tid, line.event.comm.clone()),
        (None, Some((tid, _, signal))) => (*tid, signal.target.comm.clone()),
        (None, None) => return None,
    };
    let fault = fault.map(|(_, at, line)| (at, line));
    let mut verdict = tell(death, cause, Confidence::Likely, number, "A thread or child of its main process", fault);
    if let Some((_, at, signal)) = signal {
        verdict = verdict.by(Source::Signals, at, said(signal));
    }
    verdict.process = Some(coroner_proto::v1::Process { pid: tid, name: text::clean(&name, 64), ..Default::default() });
    Some(verdict)
}

fn tell(
    death: &Death<'_>,
    cause: Cause,
    confidence: Confidence,
    number: i32,
    who: &str,
    fault: Option<(Timestamp, &Line<Fault>)>,
) -> Verdict {
    let name = signal_name(number);
    let what = match cause {
        Cause::CrashAbort => "called abort()",
        Cause::CrashBusError => "touched memory that its file or device could not give",
        Cause::CrashIllegalInstruction => "came to an instruction that this CPU does not have",
        Cause::CrashArithmetic => "divided by zero or the like",
        Cause::CrashSeccomp => "made a system call that its seccomp profile forbids",
        _ => "touched memory that is not its own",
    };
    let place = fault.and_then(|(_, line)| place(&line.event)).map_or_else(String::new, |place| format!(" {place}"));
    let code = death.code.unwrap_or(128 + number);
    let explanation = format!("{who} {what}{place} and was ended by {name}. The container's exit code is {code}.");
    let mut verdict = Verdict::new(cause, confidence, death.at).told(format!("Crashed: {name}"), explanation);
    if let Some((at, line)) = fault {
        verdict = verdict.by(Source::KernelLog, at, &line.text);
    }
    verdict.exit = death.exit(number).or_else(|| Some(Exit { code, signal: number, ..Exit::default() }));
    verdict
}

fn place(fault: &Fault) -> Option<String> {
    let object = fault.object.as_deref().map(|object| format!("in {}", text::clean(object, 128)));
    let address = fault.address.as_deref().map(|address| format!("at address 0x{}", text::clean(address, 32)));
    match (address, object) {
        (Some(address), Some(object)) => Some(format!("({address}, {object})")),
        (Some(one), None) | (None, Some(one)) => Some(format!("({one})")),
        (None, None) => None,
    }
}

fn signal_of(kind: &FaultKind) -> Option<i32> {
    match kind {
        FaultKind::Segfault | FaultKind::GeneralProtection => Some(11),
        FaultKind::InvalidOpcode => Some(4),
        FaultKind::DivideError => Some(8),
        FaultKind::Other(_) => None,
    }
}

fn audit<'a>(death: &Death<'a>, pid: i32, number: i32) -> Option<(Timestamp, &'a Line<AuditedEnd>)> {
    death
        .node
        .processes
        .audits
        .of(pid, death.at - CLOCKS, death.at + CLOCKS)
        .find(|(_, line)| line.event.signal == number)
}

fn said(signal: &Signal) -> String {
    super::stopped::said(signal)
}
