//! syslog(2): the text of the whole log, asked for once a second and compared with what was seen before.
//!
//! Mirrors `kernel/printk/printk.c`, `syslog_print_all()`. There are no sequence numbers, so what is lost cannot be counted: that the
//! last line seen is no longer there tells that something was. Every line carries priority and time of its own, the lines of
//! one record too, so nobody can forge a record by a line break.

use std::{io, time::Duration};

use coroner_diagnosis::observation::{GapReason, Health, kernel_log::Record};
use coroner_sys::{syslog_buffer_size, syslog_read_all};

use super::Log;
use crate::{
    clock::Anchor,
    sources::worker::{End, Worker},
};

/// Time between two looks. Each costs the kernel a walk over all records.
const INTERVAL: Duration = Duration::from_secs(1);
/// After so many looks it is tried whether the device can be had.
const DEVICE_EVERY: u32 = 60;
/// What is read at first: seldom is more written within [`INTERVAL`].
const TAIL: usize = 16 * 1024;
/// All is read up to this size. As text, records take more room than in the kernel's buffer, hence more than the buffer's size is asked for.
const ALL_MAX: usize = 8 * 1024 * 1024;

/// Polls until the device can be had after all. `refusal`: why it could not.
pub(super) fn poll(
    refusal: &str,
    log: &mut Log,
    worker: &mut Worker,
    device_is_there: impl Fn() -> bool,
) -> Result<(), End> {
    let absent = |error: io::Error| End::Absent(format!("{refusal}; syslog(2): {error}"));
    let all = syslog_buffer_size().map_err(absent)?.saturating_mul(2).min(ALL_MAX);
    let mut last: Option<Vec<u8>> = None;
    let mut looked = Anchor::now().wall;
    for look in 0_u32.. {
        if look % DEVICE_EVERY == DEVICE_EVERY - 1 && device_is_there() {
            break;
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
        let mut understood = snapshot.is_empty();
        for line in lines(&snapshot) {
            understood |= Record::parse_syslog(line).is_ok();
        }
        if !understood {
            return Err(End::Absent(format!("{refusal}; syslog(2) tells no times, as printk.time is off")));
        }
        for record in lines(new.unwrap_or(&snapshot)).filter_map(|line| Record::parse_syslog(line).ok()) {
            let written = Duration::from_micros(record.boot_micros);
            if Some(written) <= known {
                continue;
            }
            if last.is_some() {
                log.clock.learn(written, &now);
            }
            log.hand_on(record, last.is_none(), &now, worker)?;
        }
        worker.health(Health::Degraded(format!("{refusal}; read by syslog(2), once a second")))?;
        looked = now.wall;
        if let Some(line) = lines(&snapshot).next_back() {
            last = Some(line.to_vec());
        }
        worker.pause(INTERVAL)?;
    }
    Ok(())
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
