//! The lines: `trace_print_context` of `kernel/trace/trace_output.c`, then the event's own format.

use super::{OomVictim, Signal, Thread, TraceEvent, TraceEventKind, TraceLine};
use crate::observation::kernel_log::micros;
use crate::parse::{COMM_MAX, ParseError, decimal, is_comm, occurrences};

/// One line of trace_pipe: `%16s-%-7d [(%7s) ][%03d] [<flags>] %5lu.%06lu: <event>: <fields>`, or `CPU:%d [LOST %lu
/// EVENTS]`.
///
/// The names of threads, that of the running one and that of a signal's target, are hostile. Fields are found by name,
/// with `=` or `:` (the kernel has both).
///
/// # Errors
/// If the line is not one of a trace, or an event of a known name misses its fields.
pub fn parse_line(line: &str) -> Result<TraceLine, ParseError> {
    let line = line.trim_end_matches(['\n', '\r']);
    if let Some(lost) = lost_events(line) {
        return Ok(lost);
    }
    // The running thread's name is padded to 16 and no longer than 15: of the dashes that can end it, the last one
    // does.
    let head = line.char_indices().nth(COMM_MAX + 2).map_or(line, |(end, _)| &line[..end]);
    let (thread, cpu, boot_micros, event) = head
        .char_indices()
        .rev()
        .filter(|(_, c)| *c == '-')
        .find_map(|(dash, _)| context(line[..dash].trim_start_matches(' '), &line[dash + 1..]))
        .ok_or_else(|| ParseError::new("a line of a trace: no thread, CPU and time", line))?;
    let kind = match event.split_once(": ") {
        Some(("signal_generate", fields)) => signal(fields, &thread).map(TraceEventKind::Signal),
        Some(("mark_victim", fields)) => victim(fields, &thread).map(TraceEventKind::OomVictim),
        _ => Some(TraceEventKind::Other),
    };
    let kind = kind.ok_or_else(|| ParseError::new("a line of a trace: the event misses fields", line))?;
    Ok(TraceLine::Event(TraceEvent { cpu, boot_micros, thread, kind }))
}

/// `print_trace_line` of `kernel/trace/trace.c`.
fn lost_events(line: &str) -> Option<TraceLine> {
    let (cpu, lost) = line.strip_prefix("CPU:")?.strip_suffix(" EVENTS]")?.split_once(" [LOST")?;
    let lost = if lost.is_empty() { None } else { Some(decimal(lost.strip_prefix(' ')?)?) };
    Some(TraceLine::LostEvents { cpu: decimal(cpu)?, lost })
}

/// What follows the dash: thread id, perhaps the thread group's, CPU, perhaps flags, time, event.
fn context<'l>(comm: &str, rest: &'l str) -> Option<(Thread, u32, u64, &'l str)> {
    let (ids, rest) = rest.split_once('[')?;
    let tid = decimal(ids.split(['(', ' ']).next()?)?;
    let (cpu, rest) = rest.split_once("] ")?;
    let (time, event) = rest.split_once(": ")?;
    let mut time = time.split_ascii_whitespace().rev();
    let boot_micros = micros(time.next()?)?;
    // At most the flags stand before the time.
    (is_comm(comm) && time.count() <= 1).then(|| {
        let thread = Thread { tid, comm: comm.to_owned() };
        Some((thread, decimal(cpu)?, boot_micros, event))
    })?
}

/// `sig=%d errno=%d code=%d comm=%s pid=%d grp=%d res=%d`
fn signal(text: &str, sender: &Thread) -> Option<Signal> {
    let (fields, comm) = split_comm(text, " pid");
    let number = |name| fields.iter().rev().find_map(|fields| field(fields, name)).and_then(decimal);
    Some(Signal {
        signal: number("sig")?,
        code: number("code")?,
        result: number("res")?,
        sender: sender.clone(),
        target: Thread { tid: number("pid")?, comm: comm?.to_owned() },
        group: number("grp")? != 0,
        sender_process: None,
    })
}

/// `pid=%d`, since 6.9 (and stable kernels) `pid=%d comm=%s total-vm=%lukB …`
fn victim(text: &str, allocator: &Thread) -> Option<OomVictim> {
    let (fields, comm) = split_comm(text, " total-vm");
    let pid = fields.iter().find_map(|fields| field(fields, "pid")).and_then(decimal)?;
    Some(OomVictim { pid, comm: comm.map(str::to_owned), allocator: allocator.clone() })
}

/// The fields before and after the name, and the name, which reaches up to the last `next` (with `=` or `:`): whatever
/// it imitates, the kernel's own comes later.
fn split_comm<'t>(text: &'t str, next: &'t str) -> ([&'t str; 2], Option<&'t str>) {
    let begin = if text.starts_with("comm=") { Some(0) } else { text.find(" comm=").map(|at| at + 1) };
    let Some(begin) = begin else {
        return ([text, ""], None);
    };
    let rest = &text[begin + "comm=".len()..];
    let end = occurrences(rest, next).filter(|at| rest[at + next.len()..].starts_with(['=', ':'])).last();
    let (comm, after) = rest.split_at(end.unwrap_or(rest.len()));
    ([&text[..begin], after], Some(comm))
}

/// The value of a field that holds no blanks.
fn field<'t>(fields: &'t str, name: &str) -> Option<&'t str> {
    fields.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix(['=', ':']))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(line: &str) -> TraceEvent {
        match parse_line(line) {
            Ok(TraceLine::Event(event)) => event,
            other => panic!("{line}: {other:?}"),
        }
    }

    fn as_signal(line: &str) -> Signal {
        match event(line).kind {
            TraceEventKind::Signal(signal) => signal,
            other => panic!("{line}: {other:?}"),
        }
    }

    fn as_victim(line: &str) -> OomVictim {
        match event(line).kind {
            TraceEventKind::OomVictim(victim) => victim,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn a_signal_names_sender_and_target() {
        let line = "   containerd-sh-6174    [011] d..1.  2282.179561: signal_generate: sig=15 errno=0 code=-6 comm=crash pid=5987 \
                    grp=1 res=0\n";
        let TraceEvent { cpu, boot_micros, thread, .. } = event(line);
        assert_eq!((cpu, boot_micros, thread.tid, thread.comm.as_str()), (11, 2_282_179_561, 6174, "containerd-sh"));
        let signal = as_signal(line);
        assert_eq!((signal.signal, signal.code, signal.result, signal.group), (15, -6, 0, true));
        assert_eq!((signal.target.tid, signal.target.comm.as_str()), (5987, "crash"));
        assert_eq!(signal.sender, thread);
    }

    #[test]
    fn a_victim_is_read_with_and_without_name() {
        let new = as_victim(
            "           crash-17907   [000] ...1.  1966.544465: mark_victim: pid=17907 comm=a total-vm=1 x total-vm=67644kB \
             anon-rss=64768kB file-rss:192kB shmem-rss:0kB uid=0 pgtables=164kB oom_score_adj=998",
        );
        assert_eq!((new.pid, new.comm.as_deref()), (17907, Some("a total-vm=1 x")));
        assert_eq!(new.allocator, Thread { tid: 17907, comm: "crash".to_owned() });
        let old = as_victim("          kswapd-1 [000]     6.000001: mark_victim: pid=12");
        assert_eq!((old.pid, old.comm), (12, None));
        let colons = as_victim("          kswapd-1 [000]     6.000001: mark_victim: pid:12");
        assert_eq!(colons.pid, 12);
    }

    #[test]
    fn hostile_names_move_nothing() {
        for comm in
            ["x-1 [0] 1.0: y", "a-7 [000] b", "- - -", "", "a", "-5", "éé-3 [1", "a pid=1 grp=0", " pid=1 pid=2 "]
        {
            let padding = " ".repeat(16_usize.saturating_sub(comm.len()));
            let line = format!(
                "{padding}{comm}-77      [003] d..1.   12.000034: signal_generate: sig=9 errno=0 code=0 comm={comm} pid=42 grp=1 res=0"
            );
            let (event, signal) = (event(&line), as_signal(&line));
            assert_eq!((event.cpu, event.boot_micros), (3, 12_000_034), "{line}");
            assert_eq!((event.thread.tid, event.thread.comm.as_str()), (77, comm.trim_start()), "{line}");
            assert_eq!((signal.target.tid, signal.target.comm.as_str()), (42, comm), "{line}");
        }
    }

    #[test]
    fn the_thread_groups_column_and_missing_flags_are_no_obstacle() {
        for line in [
            "              sh-4195    (   4195) [000] dN.2.   261.910129: sched_switch: x",
            "              sh-4195    (-------) [000] dN.2.   261.910129: sched_switch: x",
            "              sh-4195    [000]   261.910129: sched_switch: x",
            "sh-4195 [000] dN.2. 261.910129: sched_switch: x",
        ] {
            let event = event(line);
            assert_eq!((event.thread.tid, event.thread.comm.as_str(), event.cpu), (4195, "sh", 0), "{line}");
            assert_eq!((event.boot_micros, event.kind), (261_910_129, TraceEventKind::Other), "{line}");
        }
    }

    #[test]
    fn lost_events_are_counted_where_the_kernel_counts_them() {
        assert_eq!(parse_line("CPU:3 [LOST 128 EVENTS]\n"), Ok(TraceLine::LostEvents { cpu: 3, lost: Some(128) }));
        assert_eq!(parse_line("CPU:0 [LOST EVENTS]"), Ok(TraceLine::LostEvents { cpu: 0, lost: None }));
    }

    #[test]
    fn what_is_no_line_of_a_trace_is_refused() {
        for line in [
            "",
            "# tracer: nop",
            "CPU:x [LOST 1 EVENTS]",
            "sh-x [000] d..1. 1.000000: signal_generate: sig=9",
            "sh-1 [000] d..1. 1.0: signal_generate: sig=9",
            "sh-1 [000] d..1. 1.000000: signal_generate: sig=9 errno=0 code=0 comm=x",
            "sh-1 [000] d..1. 1.000000: mark_victim: comm=x",
            "a-name-that-is-far-too-long-for-a-thread-1 [000] d..1. 1.000000: x: y",
        ] {
            assert!(parse_line(line).is_err(), "{line}");
        }
    }
}
