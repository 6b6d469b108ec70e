//! The dead letters of one exporter: records that its receiver refused for good, one JSON object a line with the
//! reason.
//!
//! The file is bounded. A full one is not cut: the exporter waits until an operator has moved it away.

use std::{io, path::Path};

use coroner_diagnosis::text;
use jiff::Timestamp;
use serde_json::json;

use super::{append::Lines, format::native, item::Item};

/// Bytes of the file.
const LIMIT: u64 = 64 << 20;
/// Bytes of the reason that is kept.
const REASON_BYTES: usize = 512;

#[derive(Debug)]
pub(super) struct DeadLetters {
    lines: Lines,
    limit: u64,
}

impl DeadLetters {
    pub(super) fn new(directory: &Path, name: &str) -> Self {
        Self { lines: Lines::new(directory.join(format!("{name}.dead-letter.jsonl"))), limit: LIMIT }
    }

    /// Puts the records there. On return they are on disk.
    pub(super) fn bury(&mut self, items: &[Item], reason: &str) -> io::Result<()> {
        let time = Timestamp::now().to_string();
        let reason = text::clean(reason, REASON_BYTES);
        let mut lines = Vec::new();
        for item in items {
            let line = json!({"time": time, "reason": reason, "record": native::object(item)});
            lines.extend_from_slice(line.to_string().as_bytes());
            lines.push(b'\n');
        }
        if self.lines.len()? + lines.len() as u64 > self.limit {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "the dead-letter file is full; move it away"));
        }
        self.lines.append(&lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::format::samples;

    #[test]
    fn a_full_file_takes_no_more_and_keeps_what_it_has() {
        let directory = tempfile::tempdir().unwrap();
        let mut letters = DeadLetters { limit: 20_000, ..DeadLetters::new(directory.path(), "siem") };
        let item = [samples::oom()];
        let mut buried = 0;
        while letters.bury(&item, "no\n").is_ok() {
            buried += 1;
        }
        let text = std::fs::read_to_string(directory.path().join("siem.dead-letter.jsonl")).unwrap();
        let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(buried > 0 && lines.len() == buried);
        assert_eq!(lines[0]["reason"], "no\\n");
        assert_eq!(lines[0]["record"]["id"], item[0].id);
    }
}
