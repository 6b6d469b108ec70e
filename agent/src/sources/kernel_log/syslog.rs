//! syslog(2): the text of the log, asked for when the kernel has printed, or once a second, and compared with what was
//! seen before.
//!
//! Mirrors `kernel/printk/printk.c`, `syslog_print_all()`. There are no sequence numbers, so what is lost cannot be
//! counted: that the last line seen is no longer there shows that something was. Line breaks in a record come raw;
//! [`Record::parse_syslog`] puts its lines together again.

use std::{
    io,
    time::{Duration, Instant},
};

use coroner_diagnosis::{
    messages::{Message, health},
    observation::{GapReason, Health, kernel_log::Record},
};
use coroner_sys::{syslog_buffer_size, syslog_read_all};

use super::{Log, console::Console, device};
use crate::{
    clock::Anchor,
    host::HostRoot,
    sources::worker::{End, Worker},
};

/// Time between two looks where no event shows when the kernel prints. Each costs the kernel a walk over all records.
const INTERVAL: Duration = Duration::from_secs(1);
/// So often it is tried whether the device can be had.
const DEVICE_EVERY: Duration = Duration::from_mins(1);
/// What is read at first: seldom is more written within [`INTERVAL`].
const TAIL: usize = 16 * 1024;
/// All is read up to this size. As text, records are larger than in the kernel's buffer, hence more than the buffer's
/// size is requested.
const ALL_MAX: usize = 8 * 1024 * 1024;

/// Polls until the device can be had after all. `refusal`: why it could not.
pub(super) fn poll(refusal: &Message, log: &mut Log, worker: &mut Worker, host: &HostRoot) -> Result<(), End> {
    let absent = |error: io::Error| End::absent(health::health_syslog_failed(refusal.clone(), error.to_string()));
    let all = syslog_buffer_size().map_err(absent)?.saturating_mul(2).min(ALL_MAX);
    let mut last: Option<Vec<u8>> = None;
    let mut looked = Anchor::now().wall;
    // Before the first look: what is printed meanwhile leads to the next.
    let (mut console, reason) = match Console::open(host) {
        Ok(console) => (Some(console), health::health_syslog(refusal.clone())),
        Err(end) => (None, health::health_syslog_polled(refusal.clone(), end.reason().phrase())),
    };
    let health = Health::Degraded(reason.into());
    let mut tried = Instant::now();
    loop {
        if tried.elapsed() >= DEVICE_EVERY {
            tried = Instant::now();
            if device::open(&host.dev).is_ok() {
                return Ok(());
            }
        }
        let mut snapshot = Vec::new();
        syslog_read_all(&mut snapshot, TAIL).map_err(absent)?;
        if following(&snapshot, last.as_deref()).is_none() {
            syslog_read_all(&mut snapshot, all).map_err(absent)?;
        }
        let now = Anchor::now();
        let new = following(&snapshot, last.as_deref());
        // Empty is what `dmesg --clear` leaves: that alone loses nothing.
        if new.is_none() && last.is_some() && !snapshot.is_empty() {
            worker.send(worker.outlet.gap(GapReason::Overrun, looked.min(now.wall), now.wall, None))?;
        }
        // Without the last line, what was seen before is known by its time.
        let known = if new.is_none() { log.newest } else { None };
        let before = new.and(last.as_deref());
        let records = Record::parse_syslog(new.unwrap_or(&snapshot), before);
        if records.is_empty() && !snapshot.is_empty() && Record::parse_syslog(&snapshot, None).is_empty() {
            return Err(End::absent(health::health_syslog_no_times(refusal.clone())));
        }
        for record in records {
            let written = Duration::from_micros(record.boot_micros);
            if Some(written) <= known {
                continue;
            }
            if last.is_some() {
                log.clock.learn(written, &now);
            }
            log.hand_on(record, last.is_none(), &now, worker)?;
        }
        worker.health(health.clone())?;
        looked = now.wall;
        if let Some(line) = lines(&snapshot).next_back() {
            last = Some(line.to_vec());
        }
        match &mut console {
            Some(console) => console.wait(worker)?,
            None => worker.pause(INTERVAL)?,
        }
    }
}

fn lines(text: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty())
}

/// What stands after the last occurrence of the line `last`; `None` where it does not occur.
fn following<'a>(snapshot: &'a [u8], last: Option<&[u8]>) -> Option<&'a [u8]> {
    let last = last?;
    let mut end = snapshot.len();
    for line in snapshot.rsplit(|&byte| byte == b'\n') {
        if line == last {
            return Some(snapshot.get(end + 1..).unwrap_or_default());
        }
        end = end.saturating_sub(line.len() + 1);
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn finds_what_is_new_by_the_last_line_seen() {
        let log = b"<6>[ 1.000000] a\n<6>[ 2.000000] b\n<6>[ 3.000000] c\n";
        assert_eq!(following(log, Some(b"<6>[ 2.000000] b")), Some(&b"<6>[ 3.000000] c\n"[..]));
        assert_eq!(following(log, Some(b"<6>[ 3.000000] c")), Some(&b""[..]));
        assert_eq!(following(log, Some(b"<6>[ 0.500000] z")), None);
        assert_eq!(following(b"", Some(b"<6>[ 0.500000] z")), None);
        assert_eq!(following(log, None), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_compared_without_panic(bytes: Vec<u8>, last: Vec<u8>) {
            let _compared = following(&bytes, Some(&last));
        }

        #[test]
        fn what_follows_the_last_line_is_what_was_appended(old in "([a-z]{1,5}\n){1,5}", new in "([A-Z]{1,5}\n){0,5}") {
            let last = lines(old.as_bytes()).next_back().unwrap().to_vec();
            let snapshot = format!("{old}{new}");
            prop_assert_eq!(following(snapshot.as_bytes(), Some(&last)), Some(new.as_bytes()));
        }
    }
}
