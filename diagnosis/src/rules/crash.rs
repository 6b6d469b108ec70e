//! Crashed: a fatal signal of the program's own making, in the main process or passed on by it as 128 + n.

use coroner_proto::v1::{Cause, Confidence, Exit, Message, Process};
use jiff::Timestamp;

use super::{
    death::{CLOCKS, Death, Ending, MOMENT},
    log_finding::log_finding,
    stopped::{Sender, sender, sent_by},
};
use crate::{
    case::Line,
    messages::{common, crash as texts, exit},
    observation::{
        Source,
        kernel_log::{Fault, FaultKind},
        trace::Signal,
    },
    text,
    verdict::{Evidence, Verdict},
};

pub(super) fn end(death: &Death<'_>) -> Option<Verdict> {
    main_crashed(death).or_else(|| passed_on(death)).or_else(|| by_log(death)).or_else(|| by_report(death))
}

/// No signal was observed, but the program's last lines agree with the exit code.
fn by_log(death: &Death<'_>) -> Option<Verdict> {
    if death.ending() != Ending::Unknown {
        return None;
    }
    let code = death.code?;
    let log = log_finding(death)?;
    let cause = log.cause.filter(|named| (1..=64).any(|number| cause(number) == Some(*named)))?;
    let number = code - 128;
    let mut verdict = Verdict::new(cause, Confidence::Likely, death.at)
        .headed(exit::exit_with_log(code, log.reason))
        .explained(exit::crash_by_log(number))
        .explained((cause == Cause::CrashAbort && number == 11).then(exit::crash_log_abort_of_init))
        .explained(log.of_another.then(exit::exit_log_of_another))
        .supported(death.reported_end())
        .supported([log.line])
        .or_else(Cause::KilledExternally, common::decided_by_signals())
        .or_else(Cause::ApplicationExit, common::decided_by_wait());
    if !death.covered(Source::Signals) {
        verdict = verdict.without(Source::Signals);
    }
    verdict.contributing.extend(log.contributing);
    verdict.exit = death.exit(number);
    verdict.process = death.main_process();
    Some(verdict.waiting())
}

/// No signal was observed, but the Pod's status names it. The kubelet leaves it out, others that run pods do not.
fn by_report(death: &Death<'_>) -> Option<Verdict> {
    let number = death.reported_signal().filter(|_| death.ending() == Ending::Unknown)?;
    let verdict = crashed(death, cause(number)?, Confidence::Likely, number, None)
        .explained(exit::crash_by_report(number))
        .supported(death.reported_end())
        .or_else(Cause::KilledExternally, common::decided_by_signals());
    Some(if death.covered(Source::Signals) { verdict } else { verdict.without(Source::Signals) }.waiting())
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
    let audit = death.audit(death.main?, number);
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
    // abort() of a process that ignores SIGABRT may show only in its log.
    let log = log_finding(death);
    let cause = match log.as_ref().and_then(|log| log.cause) {
        Some(Cause::CrashAbort) if confidence != Confidence::Certain => Cause::CrashAbort,
        _ => cause,
    };
    let process = called(death.process(death.main?), fault, sent);
    let mut verdict = crashed(death, cause, confidence, number, fault)
        .explained(texts::crash_main(number, named(&process)))
        .explained(place(fault));
    if let Some((at, signal)) = aborted {
        verdict = verdict.supported_by(Source::Signals, at, sent_by(signal));
        verdict = verdict.explained((number == 11).then(texts::crash_abort_of_init));
    }
    if let Some((at, signal)) = sent {
        verdict = verdict.supported_by(Source::Signals, at, sent_by(signal));
        verdict = verdict.against(Source::Signals, at, texts::crash_not_killed());
    } else if fault.is_none() && audit.is_none() {
        verdict = verdict.or_else(Cause::KilledExternally, common::decided_by_signals());
    }
    if sent.is_none() && !death.covered(Source::Signals) {
        verdict = verdict.without(Source::Signals);
    }
    if let Some(log) = log {
        verdict.contributing.extend(log.contributing);
        verdict = verdict.supported([log.line]);
    }
    if confidence != Confidence::Certain {
        verdict = verdict.waiting();
    }
    if let Some((at, line)) = audit {
        verdict = verdict.supported_by(Source::KernelLog, at, &line.text);
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
        let audit = death.audit(*pid, number);
        let waited = death.node.processes.exits.of(*pid, from, to).any(|(_, status)| status.as_exit_code() == code);
        let own = sent.is_none_or(|(_, signal)| matches!(sender(death, signal), Sender::Own));
        if own && (fault.is_some() || sent.is_some() || audit.is_some() || waited) {
            let process = called(death.process(*pid), fault, sent);
            let mut verdict = crashed(death, cause, Confidence::Certain, number, fault)
                .explained(texts::crash_child(number, named(&process), code))
                .explained(place(fault));
            if let Some((at, signal)) = sent {
                verdict = verdict.supported_by(Source::Signals, at, sent_by(signal));
            }
            if let Some((at, line)) = audit {
                verdict = verdict.supported_by(Source::KernelLog, at, &line.text);
            }
            verdict.process = Some(process);
            return Some(verdict);
        }
    }
    unknown_thread(death, cause, number, code)
}

/// A thread of unknown origin crashed at the very moment: a short-lived child, or a thread of the main process.
fn unknown_thread(death: &Death<'_>, cause: Cause, number: i32, code: i32) -> Option<Verdict> {
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
    let process = Process { pid: tid, name: text::clean(&name, 64), ..Process::default() };
    let mut verdict = crashed(death, cause, Confidence::Likely, number, fault)
        .explained(texts::crash_thread(number, named(&process), code))
        .explained(place(fault));
    if let Some((_, at, signal)) = signal {
        verdict = verdict.supported_by(Source::Signals, at, sent_by(signal));
    }
    verdict.process = Some(process);
    Some(verdict)
}

fn crashed(
    death: &Death<'_>,
    cause: Cause,
    confidence: Confidence,
    number: i32,
    fault: Option<(Timestamp, &Line<Fault>)>,
) -> Verdict {
    let mut verdict = Verdict::new(cause, confidence, death.at)
        .headed(headline(cause))
        .supported(fault.map(|(at, line)| Evidence::new(Source::KernelLog, at, &line.text)));
    let code = death.code.unwrap_or(128 + number);
    verdict.exit = death.exit(number).or_else(|| Some(Exit { code, signal: number, ..Exit::default() }));
    verdict
}

fn headline(cause: Cause) -> Message {
    match cause {
        Cause::CrashAbort => texts::crash_abort(),
        Cause::CrashBusError => texts::crash_bus_error(),
        Cause::CrashIllegalInstruction => texts::crash_illegal_instruction(),
        Cause::CrashArithmetic => texts::crash_arithmetic(),
        Cause::CrashSeccomp => texts::crash_seccomp(),
        _ => texts::crash_segfault(),
    }
}

/// The process with the name that the kernel or the tracepoint reports, where no other source knows it.
fn called(process: Process, fault: Option<(Timestamp, &Line<Fault>)>, sent: Option<(Timestamp, &Signal)>) -> Process {
    let by_kernel = fault.map(|(_, line)| line.event.comm.as_str());
    let name = by_kernel.or_else(|| sent.map(|(_, signal)| signal.target.comm.as_str()));
    match name.filter(|_| process.name.is_empty()) {
        Some(name) => Process { name: text::clean(name, 64), ..process },
        None => process,
    }
}

/// A process by its name and pid.
fn named(process: &Process) -> Message {
    match process.name.as_str() {
        "" => common::process_nameless(process.pid),
        name => common::process_named(name, process.pid),
    }
}

/// Where the kernel saw the fault.
fn place(fault: Option<(Timestamp, &Line<Fault>)>) -> Option<Message> {
    let Fault { address, object, .. } = &fault?.1.event;
    match (address, object) {
        (Some(address), Some(object)) => Some(texts::crash_place(address, object)),
        (Some(address), None) => Some(texts::crash_address(address)),
        (None, Some(object)) => Some(texts::crash_object(object)),
        (None, None) => None,
    }
}

fn signal_of(kind: &FaultKind) -> Option<i32> {
    match kind {
        FaultKind::Segfault | FaultKind::GeneralProtection | FaultKind::ControlProtection => Some(11),
        FaultKind::InvalidOpcode => Some(4),
        FaultKind::BusError => Some(7),
        FaultKind::DivideError => Some(8),
        FaultKind::Other(_) => None,
    }
}
