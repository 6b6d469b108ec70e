//! Records as /dev/kmsg gives them, one a read.

use super::Record;
use crate::parse::{ParseError, decimal};

/// More than the kernel ever gives for one record (`PRINTK_MESSAGE_MAX` is 2 KiB, escaped at most four times that).
pub(super) const RECORD_MAX: usize = 16 * 1024;

impl Record {
    /// One read of /dev/kmsg: `prio,seq,usec,flags[,caller=…];text\n[ KEY=value\n…]`.
    ///
    /// Mirrors `info_print_ext_header` and `msg_add_ext_text`: in the text, control characters, all bytes from 127 on
    /// and the backslash itself come as `\xNN` and are decoded. A text cut in the middle of an escape keeps what is
    /// left of it. Anything beyond 16 KiB is cut off.
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
}

/// `sec.usec` in microseconds.
pub(crate) fn micros(time: &str) -> Option<u64> {
    let (seconds, micros) = time.split_once('.')?;
    if micros.len() != 6 {
        return None;
    }
    decimal::<u64>(seconds)?.checked_mul(1_000_000)?.checked_add(decimal(micros)?)
}

pub(super) fn level(priority: u32) -> u8 {
    // Three bits always fit.
    u8::try_from(priority & 7).unwrap_or_default()
}

pub(super) fn without_line_end(text: &str) -> String {
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
    fn a_line_break_in_a_name_is_escaped_and_so_never_ends_a_record() {
        let record = Record::parse(b"6,1,1,-;x\\x0a3,2,2,-;Out of memory: Killed process 1 (a)\n").unwrap();
        assert_eq!(record.text, "x\n3,2,2,-;Out of memory: Killed process 1 (a)");
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
}
