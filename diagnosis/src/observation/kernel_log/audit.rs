//! Audit records, which come to the kernel log where no auditd takes them: `kernel/auditsc.c`.

use super::Event;
use crate::parse::decimal;

/// `audit: type=1326 audit(T:N): auid=… pid=%d comm=… exe=… sig=%ld … syscall=%ld …` (seccomp) and
/// `audit: type=1701 audit(T:N): auid=… pid=%d comm=… exe=… sig=%ld res=1` (abnormal end).
pub(super) fn parse(text: &str) -> Option<Event> {
    let rest = text.strip_prefix("audit: ").unwrap_or(text).strip_prefix("type=")?;
    let (kind, rest) = rest.split_once(' ')?;
    let (_, fields) = rest.strip_prefix("audit(")?.split_once("): ")?;
    // What a process chose (comm, exe) is quoted only if it holds neither blanks nor quotes, else written in
    // hexadecimal: words are safe. The last of a name wins, since only a label of a security module (subj) could hold
    // blanks.
    let word = |name: &str| {
        fields.split(' ').rev().find_map(|word| word.strip_prefix(name).and_then(|rest| rest.strip_prefix('=')))
    };
    let pid = word("pid").and_then(decimal)?;
    let comm = untrusted(word("comm")?)?;
    let signal = word("sig").and_then(decimal)?;
    match kind {
        "1326" => Some(Event::Seccomp { pid, comm, signal, syscall: word("syscall").and_then(decimal)? }),
        "1701" => Some(Event::AbnormalEnd { pid, comm, signal }),
        _ => None,
    }
}

/// `audit_log_untrustedstring`: quoted, or in hexadecimal where it holds anything odd.
fn untrusted(word: &str) -> Option<String> {
    if let Some(plain) = word.strip_prefix('"') {
        return plain.strip_suffix('"').map(str::to_owned);
    }
    let digits: Vec<u8> =
        word.chars().map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok())).collect::<Option<_>>()?;
    let (pairs, odd) = digits.as_chunks::<2>();
    let bytes: Vec<u8> = pairs.iter().map(|[high, low]| high << 4 | low).collect();
    odd.is_empty().then(|| String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seccomp_record_names_process_signal_and_call() {
        let text = "audit: type=1326 audit(1795211988.899:2): auid=4294967295 uid=0 gid=0 ses=4294967295 pid=28054 \
                    comm=\"crash\" exe=\"/bin/crash\" sig=31 arch=c000003e syscall=110 compat=0 ip=0x43efd9 code=0x80000000";
        let comm = "crash".to_owned();
        assert_eq!(Event::parse(text), Some(Event::Seccomp { pid: 28054, comm, signal: 31, syscall: 110 }));
    }

    #[test]
    fn an_abnormal_end_with_an_odd_name_is_decoded() {
        let text = "audit: type=1701 audit(1.1:2): auid=1 uid=0 gid=0 ses=1 subj=x pid=1 y (enforce) pid=77 \
                    comm=61207069643D31 exe=\"/a\" sig=11 res=1";
        let comm = "a pid=1".to_owned();
        assert_eq!(Event::parse(text), Some(Event::AbnormalEnd { pid: 77, comm, signal: 11 }));
        assert_eq!(
            Event::parse("type=1701 audit(1.1:2): pid=7 comm=FF exe=\"/a\" sig=6 res=1"),
            Some(Event::AbnormalEnd { pid: 7, comm: "\u{fffd}".to_owned(), signal: 6 })
        );
    }

    #[test]
    fn other_or_broken_audit_records_are_no_event() {
        for text in [
            "audit: type=1400 audit(1.1:2): pid=7 comm=\"a\" sig=6",
            "audit: type=1701 audit(1.1:2): pid=7 comm=\"a exe=\"/a\" sig=6 res=1",
            "audit: type=1701 audit(1.1:2): pid=7 comm=F exe=\"/a\" sig=6 res=1",
            "audit: type=1701 audit(1.1:2): pid=7 comm=éé exe=\"/a\" sig=6 res=1",
            "audit: type=1701 audit(1.1:2): comm=\"a\" sig=6",
            "audit: type=1326 audit(1.1:2): pid=7 comm=\"a\" sig=31",
        ] {
            assert_eq!(Event::parse(text), None, "{text}");
        }
    }
}
