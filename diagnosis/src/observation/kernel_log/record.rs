//! Records: one read of /dev/kmsg, or one line of syslog(2).

use super::Record;
use crate::parse::{ParseError, decimal};

/// More than the kernel ever gives for one record (`PRINTK_MESSAGE_MAX` is 2 KiB, escaped at most four times that).
pub(super) const RECORD_MAX: usize = 16 * 1024;

impl Record {
    /// One read of /dev/kmsg: `prio,seq,usec,flags[,caller=…];text\n[ KEY=value\n…]`.
    ///
    /// Mirrors `info_print_ext_header` and `msg_add_ext_text`: in the text, control characters, all bytes from 127 on
    /// and the backslash itself come as `\xNN` and are decoded. A text cut in the middle of an escape keeps what is left
    /// of it. Anything beyond 16 KiB is cut off.
    ///
    /// # Errors
    /// If the header is not one.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        let bytes = &bytes[..bytes.len().min(RECORD_MAX)];
        let error = |expected| ParseError::new(expected, &String::from_utf8_lossy(bytes));
        let semicolon = bytes.iter().position(|&b| b == b';');
        let semicolon = semicolon.ok_or_else(|| error("a record of the kernel log: no semicolon"))?;
        let header = std::str::from_utf8(&bytes[..semicolon])
            .map_err(|_| error("a record of the kernel log: header is not text"))?;
        let mut fields = header.split(',');
        let priority: u32 =
            fields.next().and_then(decimal).ok_or_else(|| error("a record of the kernel log: no priority"))?;
        let sequence =
            fields.next().and_then(decimal).ok_or_else(|| error("a record of the kernel log: no sequence number"))?;
        let boot_micros =
            fields.next().and_then(decimal).ok_or_else(|| error("a record of the kernel log: no time"))?;
        let body = &bytes[semicolon + 1..];
        let line = body.split(|&b| b == b'\n').next().unwrap_or_default();
        Ok(Self {
            sequence: Some(sequence),
            boot_micros,
            facility: priority >> 3,
            level: level(priority),
            text: without_line_end(&unescape(line)),
        })
    }

    /// One line of what syslog(2) gives with `SYSLOG_ACTION_READ_ALL`: `<prio>[   sec.usec] text`, with the caller column
    /// (`[    T123]`, `[    C1]`) of `CONFIG_PRINTK_CALLER`. Control characters come raw there, and each line of a record
    /// of several lines comes with the head of its own.
    ///
    /// # Errors
    /// If the head is not one. The kernel omits the time with `printk.time=0`; then nothing can be said about when, and
    /// that is an error too. The first line of a ring that has wrapped may be cut: expect it to fail.
    pub fn parse_syslog(line: &[u8]) -> Result<Self, ParseError> {
        let line = String::from_utf8_lossy(&line[..line.len().min(RECORD_MAX)]);
        let error = |expected| ParseError::new(expected, &line);
        let (priority, rest) = line
            .strip_prefix('<')
            .and_then(|rest| rest.split_once('>'))
            .and_then(|(priority, rest)| Some((decimal::<u32>(priority)?, rest)))
            .ok_or_else(|| error("a line of syslog(2): no priority"))?;
        let (time, mut text) = rest
            .strip_prefix('[')
            .and_then(|rest| rest.split_once(']'))
            .and_then(|(time, rest)| Some((micros(time.trim_start_matches(' '))?, rest)))
            .ok_or_else(|| error("a line of syslog(2): no time"))?;
        // The column stands directly at the time; the text is always set off by a space.
        if let Some((caller, rest)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']'))
            && is_caller(caller.trim_start_matches(' '))
        {
            text = rest;
        }
        Ok(Self {
            sequence: None,
            boot_micros: time,
            facility: priority >> 3,
            level: level(priority),
            text: without_line_end(text.strip_prefix(' ').unwrap_or(text)),
        })
    }
}

/// `sec.usec` in microseconds.
pub(crate) fn micros(time: &str) -> Option<u64> {
    let (seconds, micros) = time.split_once('.')?;
    if micros.len() != 6 {
        return None;
    }
    decimal::<u64>(seconds)?.checked_mul(1_000_000)?.checked_add(decimal(micros)?)
}

fn is_caller(text: &str) -> bool {
    text.strip_prefix(['T', 'C']).is_some_and(|id| !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit()))
}

fn level(priority: u32) -> u8 {
    // Three bits always fit.
    u8::try_from(priority & 7).unwrap_or_default()
}

fn without_line_end(text: &str) -> String {
    text.trim_end_matches(['\n', '\r']).to_owned()
}

/// Undoes the kernel's `\xNN`.
fn unescape(text: &[u8]) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, after)) = rest.split_first() {
        let byte = match after {
            [b'x', high, low, ..] if first == b'\\' => hex_digit(*high).zip(hex_digit(*low)).map(|(h, l)| h << 4 | l),
            _ => None,
        };
        out.push(byte.unwrap_or(first));
        rest = if byte.is_some() { &after[3..] } else { after };
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_dev_kmsg_is_taken_apart() {
        let record = Record::parse(b"3,5624,4734451650,-;Out of memory\n SUBSYSTEM=x\n DEVICE=+y\n").unwrap();
        assert_eq!(record.sequence, Some(5624));
        assert_eq!(record.boot_micros, 4_734_451_650);
        assert_eq!((record.facility, record.level), (0, 3));
        assert_eq!(record.text, "Out of memory");
    }

    #[test]
    fn a_record_keeps_its_facility_caller_or_not() {
        let record = Record::parse(b"14,1,2,-,caller=T12;Killed process 1 (a) forged\n").unwrap();
        assert_eq!((record.facility, record.level), (1, 6));
        assert_eq!(record.text, "Killed process 1 (a) forged");
    }

    #[test]
    fn escapes_are_decoded_and_what_is_not_utf8_is_replaced() {
        let text = |body: &str| Record::parse(format!("6,1,1,-;{body}").as_bytes()).unwrap().text;
        assert_eq!(text(r"anon 1\x0afile 2\x0a"), "anon 1\nfile 2");
        assert_eq!(text(r"caf\xc3\xa9 \x5cx41 \xff"), "café \\x41 \u{fffd}");
        assert_eq!(text(r"cut \x4"), r"cut \x4");
        assert_eq!(text(r"cut \xzz \"), r"cut \xzz \");
    }

    #[test]
    fn a_huge_record_is_cut_and_a_wrong_one_refused() {
        let huge = [b"6,1,1,-;".as_slice(), &vec![b'a'; 1 << 20]].concat();
        assert_eq!(Record::parse(&huge).unwrap().text.len(), RECORD_MAX - 8);
        for wrong in ["", ";", "6,1;x", "a,1,1,-;x", "6,-1,1,-;x", "6,1,+1,-;x", "6,99999999999999999999,1,-;x"] {
            let error = Record::parse(wrong.as_bytes()).unwrap_err();
            assert!(error.to_string().contains("kernel log"), "{error}");
        }
    }

    #[test]
    fn a_line_of_syslog_is_taken_apart_with_and_without_caller() {
        for (line, text) in [
            ("<6>[ 1966.544462] [  pid  ]   uid  tgid", "[  pid  ]   uid  tgid"),
            ("<6>[ 1966.544462][ T1234] [  pid  ]   uid", "[  pid  ]   uid"),
            ("<6>[ 1966.544462][    C1] text\n", "text"),
            ("<6>[ 1966.544462]  indented", " indented"),
            ("<6>[ 1966.544462] ", ""),
        ] {
            let record = Record::parse_syslog(line.as_bytes()).unwrap();
            assert_eq!(record.boot_micros, 1_966_544_462);
            assert_eq!((record.sequence, record.facility, record.level), (None, 0, 6));
            assert_eq!(record.text, text);
        }
        assert_eq!(Record::parse_syslog(b"<30>[12345678.000001] systemd").unwrap().facility, 3);
        for wrong in ["", "<6>no time", "6[ 1.000000] x", "<x>[ 1.000000] x", "<6>[ 1.0] x", "544462] cut by the ring"]
        {
            assert!(Record::parse_syslog(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
