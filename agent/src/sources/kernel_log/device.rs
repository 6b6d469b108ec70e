//! /dev/kmsg: one record a read, with sequence numbers.
//!
//! Mirrors `kernel/printk/printk.c`, `devkmsg_read()`: reading starts at the oldest record; EPIPE means that the next
//! one was overwritten, and the next read returns the oldest that is left. The jump of the sequence number shows how
//! many were lost. A record that is too large for the buffer (EINVAL) is passed over, and shows as such a jump too.

use std::{
    convert::Infallible,
    fs::{File, OpenOptions},
    io::{Read, Seek, SeekFrom},
    os::{
        fd::AsFd,
        unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt},
    },
    path::Path,
    time::Duration,
};

use coroner_diagnosis::{
    messages::{Message, health},
    observation::{GapReason, kernel_log::Record},
};
use nix::{
    errno::Errno,
    fcntl::OFlag,
    sys::stat::{major, minor},
};
use tracing::debug;

use super::Log;
use crate::{
    clock::Anchor,
    sources::worker::{End, Worker, unreadable},
};

/// The device below the node's /dev.
const NAME: &str = "kmsg";
/// Major and minor number of the kernel log's device (`Documentation/admin-guide/devices.txt`).
const DEVICE: (u64, u64) = (1, 11);
/// Twice the largest record that any kernel gives (`CONSOLE_EXT_LOG_MAX`, 8 KiB).
const RECORD_MAX: usize = 16 * 1024;

/// Opens the device at its oldest record; the error states why it is not available.
pub(super) fn open(dev: &Path) -> Result<(File, Backlog), Message> {
    let log = open_once(dev)?;
    let mut end = open_once(dev)?;
    end.seek(SeekFrom::End(0)).map_err(|error| unreadable(&dev.join(NAME), &error))?;
    Ok((log, Backlog { end, first_after: None }))
}

/// Distinguishes records from before the opening from later ones. The sequence numbers decide: the records'
/// times cannot, as long as the lag of the log's clock is unknown.
#[derive(Debug)]
pub(super) struct Backlog {
    /// The device, opened at its end: what it gives was written since.
    end: File,
    /// Sequence number of the first record written since, once there is one.
    first_after: Option<u64>,
}

impl Backlog {
    /// Whether a record, just read, was there at the opening.
    fn holds(&mut self, sequence: u64) -> bool {
        if self.first_after.is_none() {
            let mut buffer = [0; RECORD_MAX];
            // EAGAIN: nothing was written since. EPIPE: that much was written since that its beginning is gone already.
            self.first_after = match self.end.read(&mut buffer) {
                Ok(length) => Record::parse(&buffer[..length]).ok().and_then(|record| record.sequence),
                Err(error) if error.raw_os_error() == Some(Errno::EPIPE as i32) => Some(0),
                Err(_) => None,
            };
        }
        self.first_after.is_none_or(|first| sequence < first)
    }
}

fn open_once(dev: &Path) -> Result<File, Message> {
    let path = dev.join(NAME);
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(OFlag::O_NONBLOCK.bits())
        .open(&path)
        .map_err(|error| unreadable(&path, &error))?;
    let metadata = file.metadata().map_err(|error| unreadable(&path, &error))?;
    // LXC and others put a link to something else there, so that programs which insist on the file are content.
    if !metadata.file_type().is_char_device() || (major(metadata.rdev()), minor(metadata.rdev())) != DEVICE {
        return Err(health::health_no_kernel_log(path.display().to_string()));
    }
    Ok(file)
}

/// Reads until stopped, or until the device fails.
pub(super) fn read(
    mut device: &File,
    mut backlog: Backlog,
    log: &mut Log,
    worker: &mut Worker,
) -> Result<Infallible, End> {
    let mut buffer = vec![0; RECORD_MAX];
    // What follows something that was read before the device was opened again is no backlog.
    let mut old = log.next_sequence.is_none();
    // Whether the next record is read as soon as it was written.
    let mut live = false;
    loop {
        match device.read(&mut buffer) {
            Ok(0) => return Err(End::absent(health::health_kernel_log_empty())),
            Ok(length) => {
                let now = Anchor::now();
                match Record::parse(&buffer[..length]) {
                    Ok(record) => {
                        old = old && record.sequence.is_some_and(|sequence| backlog.holds(sequence));
                        take(record, old, live, &now, log, worker)?;
                    }
                    Err(error) => debug!(%error, "A record of the kernel log is not understood"),
                }
                live = false;
            }
            Err(error) => match Errno::from_raw(error.raw_os_error().unwrap_or_default()) {
                Errno::EAGAIN => {
                    old = false;
                    live = worker.readable(device.as_fd(), None)?;
                }
                Errno::EINTR | Errno::EPIPE | Errno::EINVAL => live = false,
                _ => return Err(End::failed("read kmsg")(error)),
            },
        }
    }
}
fn take(record: Record, old: bool, live: bool, now: &Anchor, log: &mut Log, worker: &Worker) -> Result<(), End> {
    match record.sequence.map(|sequence| follow(&mut log.next_sequence, sequence)) {
        // The device was opened again, and starts at its oldest record.
        Some(Followed::Known) => return Ok(()),
        Some(Followed::After(0)) | None => {}
        Some(Followed::After(lost)) => {
            let from = log.newest_wall(now);
            let to = log.clock.wall(Duration::from_micros(record.boot_micros), now).max(from);
            worker.send(worker.outlet.gap(GapReason::Overrun, from, to, Some(lost)))?;
        }
    }
    if live {
        log.clock.learn(Duration::from_micros(record.boot_micros), now);
    }
    log.hand_on(record, old, now, worker)
}

/// Where a sequence number stands.
#[derive(Debug, PartialEq, Eq)]
enum Followed {
    /// It was read before.
    Known,
    /// It is new, and so many before it were lost.
    After(u64),
}

fn follow(next: &mut Option<u64>, sequence: u64) -> Followed {
    let followed = match *next {
        Some(expected) if sequence < expected => return Followed::Known,
        Some(expected) => Followed::After(sequence - expected),
        None => Followed::After(0),
    };
    *next = Some(sequence.saturating_add(1));
    followed
}

#[cfg(test)]
mod tests {
    use coroner_diagnosis::messages::english;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn counts_what_was_overwritten_and_knows_what_it_read_before() {
        let mut next = None;
        let seen = [700, 701, 705, 0, 704, 705, 706].map(|sequence| follow(&mut next, sequence));
        let known = || Followed::Known;
        let after = Followed::After;
        assert_eq!(seen, [after(0), after(0), after(3), known(), known(), known(), after(0)]);
    }

    proptest! {
        #[test]
        fn what_is_seen_and_what_is_lost_add_up(sequences in prop::collection::vec(0..1000_u64, 1..50)) {
            let mut next = None;
            let (mut seen, mut lost) = (0, 0);
            for &sequence in &sequences {
                if let Followed::After(missing) = follow(&mut next, sequence) {
                    seen += 1;
                    lost += missing;
                }
            }
            prop_assert_eq!(sequences[0] + seen + lost, next.unwrap());
        }
    }

    #[test]
    fn what_is_not_the_kernel_log_is_refused_with_a_reason() {
        let dev = tempfile::tempdir().unwrap();
        assert!(english(&open(dev.path()).unwrap_err()).contains("No such file"));
        std::os::unix::fs::symlink("/dev/null", dev.path().join("kmsg")).unwrap();
        assert!(english(&open(dev.path()).unwrap_err()).contains("is not the kernel log"));
    }
}
