//! Records as syslog(2) gives them: text, a line at a time.
//!
//! Mirrors `syslog_print_all()` and `record_print_text()` of `kernel/printk/printk.c`. Line breaks in a record come
//! raw, and the kernel puts the record's head, `<priority>[   sec.usec]` and with `CONFIG_PRINTK_CALLER` the caller,
//! before each of the lines. A program whose file name holds a line break, or an unknown mount option that does,
//! thereby begins a line. Lines of one head are therefore one record: two records of one priority that a CPU writes
//! within a microsecond cannot be distinguished from that, and count as one.

use super::{
    Record,
    record::{RECORD_MAX, level, micros, without_line_end},
};
use crate::parse::decimal;

/// What the kernel puts before each line of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Head<'t> {
    priority: u32,
    boot_micros: u64,
    /// `T<thread id>` or `C<CPU>`; empty without `CONFIG_PRINTK_CALLER`.
    caller: &'t str,
}

impl Record {
    /// The records of a part of what `SYSLOG_ACTION_READ_ALL` gives, oldest first. `before`: the line that precedes the
    /// part, if any; lines that continue its record are left out.
    ///
    /// Left out are also lines without a head, as the first of a ring that has wrapped may be. With `printk.time=0` no
    /// line has a time, and there is no record, since its time would be unknown. The text of a record is cut at 16 KiB.
    pub fn parse_syslog(text: &[u8], before: Option<&[u8]>) -> Vec<Self> {
        let before = before.map(String::from_utf8_lossy);
        let text = String::from_utf8_lossy(text);
        let mut records: Vec<Self> = Vec::new();
        let mut last = before.as_deref().and_then(split).map(|(head, _)| head);
        for line in text.split('\n').filter(|line| !line.is_empty()) {
            let Some((head, line)) = split(line) else {
                last = None;
                continue;
            };
            if last == Some(head) {
                // Without a record, it is the rest of the one before this part.
                if let Some(record) = records.last_mut() {
                    append(&mut record.text, line);
                }
                continue;
            }
            last = Some(head);
            records.push(Self {
                sequence: None,
                boot_micros: head.boot_micros,
                facility: head.priority >> 3,
                level: level(head.priority),
                text: line[..line.floor_char_boundary(RECORD_MAX)].to_owned(),
            });
        }
        for record in &mut records {
            record.text = without_line_end(&record.text);
        }
        records
    }
}

/// A line's head and its text.
fn split(line: &str) -> Option<(Head<'_>, &str)> {
    let (priority, rest) = line.strip_prefix('<')?.split_once('>')?;
    let (time, mut text) = rest.strip_prefix('[')?.split_once(']')?;
    // The column stands directly at the time; the text is always set off by a space.
    let mut caller = "";
    if let Some((column, rest)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']'))
        && is_caller(column.trim_start_matches(' '))
    {
        (caller, text) = (column, rest);
    }
    let head = Head { priority: decimal(priority)?, boot_micros: micros(time.trim_start_matches(' '))?, caller };
    Some((head, text.strip_prefix(' ').unwrap_or(text)))
}

fn append(text: &mut String, line: &str) {
    let left = RECORD_MAX.saturating_sub(text.len() + 1);
    if left > 0 {
        text.push('\n');
        text.push_str(&line[..line.floor_char_boundary(left)]);
    }
}

fn is_caller(text: &str) -> bool {
    text.strip_prefix(['T', 'C']).is_some_and(|id| !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str, before: Option<&str>) -> Vec<String> {
        let records = Record::parse_syslog(text.as_bytes(), before.map(str::as_bytes));
        records.into_iter().map(|record| record.text).collect()
    }

    #[test]
    fn a_line_is_taken_apart_with_and_without_caller() {
        for (line, text) in [
            ("<6>[ 1966.544462] [  pid  ]   uid  tgid", "[  pid  ]   uid  tgid"),
            ("<6>[ 1966.544462][ T1234] [  pid  ]   uid", "[  pid  ]   uid"),
            ("<6>[ 1966.544462][    C1] text\n", "text"),
            ("<6>[ 1966.544462]  indented", " indented"),
            ("<6>[ 1966.544462] ", ""),
        ] {
            let records = Record::parse_syslog(line.as_bytes(), None);
            let [record] = records.as_slice() else { panic!("{line}") };
            assert_eq!(record.boot_micros, 1_966_544_462);
            assert_eq!((record.sequence, record.facility, record.level), (None, 0, 6));
            assert_eq!(record.text, text);
        }
        assert_eq!(Record::parse_syslog(b"<30>[12345678.000001] systemd", None)[0].facility, 3);
        for wrong in ["", "<6>no time", "6[ 1.000000] x", "<x>[ 1.000000] x", "<6>[ 1.0] x", "544462] cut by the ring"]
        {
            assert!(texts(wrong, None).is_empty(), "{wrong}");
        }
    }

    #[test]
    fn lines_of_one_head_are_one_record() {
        let forged = "<3>[    9.000001] tmpfs: Unknown parameter 'x\n\
                      <3>[    9.000001] Out of memory: Killed process 1 (a)\n\
                      <3>[    9.000001] '\n\
                      <3>[    9.000002] next\n";
        let record = "tmpfs: Unknown parameter 'x\nOut of memory: Killed process 1 (a)\n'";
        assert_eq!(texts(forged, None), [record, "next"]);
        // The part begins within the record.
        let (first, rest) = forged.split_once('\n').unwrap();
        assert_eq!(texts(rest, Some(first)), ["next"]);
        // Another priority, moment or caller begins another record.
        let apart =
            "<3>[ 1.000001] a\n<6>[ 1.000001] b\n<6>[ 1.000002] c\n<6>[ 1.000002][ T7] d\n<6>[ 1.000002][ T8] e";
        assert_eq!(texts(apart, None), ["a", "b", "c", "d", "e"]);
    }

    #[test]
    fn a_head_that_a_name_imitates_stands_behind_the_kernels_own() {
        let forged = "<6>[    9.000001] x\n<6>[    9.000001] <3>[    9.000002] Out of memory: Killed process 1 (a)";
        assert_eq!(texts(forged, None), ["x\n<3>[    9.000002] Out of memory: Killed process 1 (a)"]);
        let caller = "<6>[    9.000001] x\n<6>[    9.000001] [   T1] y";
        assert_eq!(texts(caller, None), ["x\n[   T1] y"]);
    }

    #[test]
    fn a_huge_record_is_cut() {
        let line = format!("<6>[ 1.000001] {}\n", "x".repeat(RECORD_MAX - 2));
        let all = texts(&line.repeat(8), None);
        assert_eq!((all.len(), all[0].len()), (1, RECORD_MAX));
    }
}
