//! Events of the kernel's tracepoints, by perf_event_open(2): what happens on one CPU, in one ring buffer.
//!
//! Mirrors `kernel/events/core.c` and `include/uapi/linux/perf_event.h`. Needs CAP_PERFMON (Linux 5.8; before,
//! CAP_SYS_ADMIN). Nothing else that the call offers is used: no counters, no stacks, no registers, no memory.

use std::{
    ffi::CString,
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
    ptr::{self, NonNull},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use libc::c_int;
use perf_event_open_sys::{bindings, ioctls, perf_event_open};

/// A tracepoint, and which of its events are wanted.
#[derive(Clone, Debug)]
pub struct Tracepoint {
    /// Its number, from `events/<system>/<name>/id` of tracefs.
    pub id: u64,
    /// Which of its events count, in the language of tracefs' `filter` files; all where it is `None`. The kernel
    /// compares.
    pub filter: Option<CString>,
}

/// A record that the kernel wrote into the ring buffer.
#[derive(Debug, PartialEq, Eq)]
pub enum Record<'r> {
    /// A tracepoint was passed.
    Event {
        /// When, by CLOCK_MONOTONIC.
        at: Duration,
        /// Its fields, as `events/<system>/<name>/format` of tracefs lays them out.
        fields: &'r [u8],
    },
    /// The buffer was full, and so many events are not in it.
    Lost(u64),
}

/// The events of one CPU that have not been read yet.
#[derive(Debug)]
pub struct Ring {
    /// The first one's buffer is that of all.
    events: Vec<OwnedFd>,
    mapping: NonNull<u8>,
    page: usize,
    /// Bytes for events.
    capacity: usize,
    record: Vec<u8>,
}

// SAFETY: the mapping is the ring's alone, belongs to no thread, and is only accessed through `&mut self`.
unsafe impl Send for Ring {}

impl Ring {
    /// Watches tracepoints on a CPU. `pages` for events: a power of two.
    ///
    /// # Errors
    /// EACCES or EPERM without the capability, ENODEV for a CPU that is offline, EINVAL for a filter that the kernel
    /// cannot read.
    pub fn open(cpu: u32, tracepoints: &[Tracepoint], pages: usize) -> io::Result<Self> {
        let cpu = c_int::try_from(cpu).map_err(|_| io::ErrorKind::InvalidInput)?;
        let events = tracepoints.iter().map(|tracepoint| open(cpu, tracepoint)).collect::<io::Result<Vec<_>>>()?;
        let Some(first) = events.first().map(AsRawFd::as_raw_fd) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        // SAFETY: it takes a number and touches no memory.
        let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).map_err(io::Error::other)?;
        let (capacity, access) = (pages * page, libc::PROT_READ | libc::PROT_WRITE);
        // SAFETY: a new mapping at an address of the kernel's choice; it is unmapped by `drop` only.
        let mapping = unsafe { libc::mmap(ptr::null_mut(), page + capacity, access, libc::MAP_SHARED, first, 0) };
        if mapping == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let mapping = NonNull::new(mapping.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        let ring = Self { events, mapping, page, capacity, record: Vec::new() };
        for other in &ring.events[1..] {
            // SAFETY: both descriptors are open events; nothing in memory is passed.
            done(unsafe { ioctls::SET_OUTPUT(other.as_raw_fd(), first) })?;
        }
        for event in &ring.events {
            // SAFETY: an open event; nothing in memory is passed.
            done(unsafe { ioctls::ENABLE(event.as_raw_fd(), 0) })?;
        }
        Ok(ring)
    }

    /// Takes out the oldest record. `None` if there is none.
    pub fn take(&mut self) -> Option<Record<'_>> {
        loop {
            let (head, tail) = (self.head().load(Ordering::Acquire), self.tail().load(Ordering::Relaxed));
            let waiting = usize::try_from(head.wrapping_sub(tail)).ok().filter(|waiting| *waiting <= self.capacity)?;
            if waiting < HEADER {
                return None;
            }
            let mut header = [0; HEADER];
            self.copy(tail, &mut header);
            let kind = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]);
            let size = usize::from(u16::from_ne_bytes([header[6], header[7]]));
            // The kernel writes whole records. Should one ever be none, all that waits is passed over.
            let whole = (HEADER..=waiting).contains(&size);
            let mut record = std::mem::take(&mut self.record);
            record.clear();
            record.resize(if whole { size - HEADER } else { 0 }, 0);
            self.copy(tail.wrapping_add(HEADER as u64), &mut record);
            self.record = record;
            let end = if whole { tail.wrapping_add(size as u64) } else { head };
            self.tail().store(end, Ordering::Release);
            match kind {
                bindings::PERF_RECORD_SAMPLE => {
                    let sample = parse_sample(&self.record).map(|(at, fields)| (at, fields.start, fields.end));
                    if let Some((at, from, to)) = sample {
                        return Some(Record::Event { at, fields: &self.record[from..to] });
                    }
                }
                bindings::PERF_RECORD_LOST => {
                    if let Some(lost) = number(&self.record, 8) {
                        return Some(Record::Lost(lost));
                    }
                }
                _ => {}
            }
        }
    }

    /// Copies bytes of the ring, from a position that only grows.
    fn copy(&self, from: u64, to: &mut [u8]) {
        let start = usize::try_from(from % self.capacity as u64).unwrap_or_default();
        let first = to.len().min(self.capacity - start);
        // SAFETY: `start..start + first` and `0..to.len() - first` are within the `capacity` bytes behind the first
        // page, as `to` is no longer than they are together. The kernel does not write there before `data_tail` has
        // passed it.
        unsafe {
            let data = self.mapping.as_ptr().add(self.page);
            ptr::copy_nonoverlapping(data.add(start), to.as_mut_ptr(), first);
            ptr::copy_nonoverlapping(data, to.as_mut_ptr().add(first), to.len() - first);
        }
    }

    fn head(&self) -> &AtomicU64 {
        self.position(std::mem::offset_of!(bindings::perf_event_mmap_page, data_head))
    }

    fn tail(&self) -> &AtomicU64 {
        self.position(std::mem::offset_of!(bindings::perf_event_mmap_page, data_tail))
    }

    fn position(&self, offset: usize) -> &AtomicU64 {
        // SAFETY: the first page of the mapping is a `perf_event_mmap_page`, whose fields of 64 bits are aligned, and
        // lives as long as `self`. The kernel reads and writes them as one.
        unsafe { AtomicU64::from_ptr(self.mapping.as_ptr().add(offset).cast()) }
    }
}

impl AsFd for Ring {
    /// It can be read when there are records.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.events[0].as_fd()
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: the mapping that `open` made, with its length; nothing refers to it any more.
        let _unmapped = unsafe { libc::munmap(self.mapping.as_ptr().cast(), self.page + self.capacity) };
    }
}

/// `struct perf_event_header`: type, misc, size.
const HEADER: usize = 8;

/// Opens an event, which is not enabled yet.
fn open(cpu: c_int, tracepoint: &Tracepoint) -> io::Result<OwnedFd> {
    let mut attributes = bindings::perf_event_attr {
        type_: bindings::PERF_TYPE_TRACEPOINT,
        size: u32::try_from(size_of::<bindings::perf_event_attr>()).map_err(io::Error::other)?,
        config: tracepoint.id,
        sample_type: u64::from(bindings::PERF_SAMPLE_TIME | bindings::PERF_SAMPLE_RAW),
        clockid: libc::CLOCK_MONOTONIC,
        ..Default::default()
    };
    attributes.__bindgen_anon_1.sample_period = 1;
    attributes.__bindgen_anon_2.wakeup_events = 1;
    attributes.set_disabled(1);
    attributes.set_use_clockid(1);
    let flags = bindings::PERF_FLAG_FD_CLOEXEC;
    // SAFETY: the attributes are initialized and borrowed for the time of the call; they ask for samples in a buffer
    // that is mapped separately. All processes of one CPU.
    let event = unsafe { perf_event_open(&raw mut attributes, -1, cpu, -1, flags.into()) };
    done(event)?;
    // SAFETY: the call gave a new descriptor, which has no other owner.
    let event = unsafe { OwnedFd::from_raw_fd(event as RawFd) };
    if let Some(filter) = &tracepoint.filter {
        // SAFETY: the kernel copies the text, which ends with NUL and lives during the call, and does not write to it.
        done(unsafe { ioctls::SET_FILTER(event.as_raw_fd(), filter.as_ptr().cast_mut()) })?;
    }
    Ok(event)
}

fn done(result: c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// `u64 time; u32 size; u8 fields[size];`
fn parse_sample(sample: &[u8]) -> Option<(Duration, std::ops::Range<usize>)> {
    const FIELDS: usize = 12;
    let size: [u8; 4] = sample.get(8..FIELDS)?.try_into().ok()?;
    let end = FIELDS + usize::try_from(u32::from_ne_bytes(size)).ok()?;
    (end <= sample.len()).then_some((Duration::from_nanos(number(sample, 0)?), FIELDS..end))
}

fn number(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// On this kernel: signal 0 is checked but never generated, so `SIGCONT` to ourselves, on every CPU that is there.
    fn rings(filter: &str, pages: usize) -> Vec<Ring> {
        let id = std::fs::read_to_string("/sys/kernel/tracing/events/signal/signal_generate/id").unwrap();
        let tracepoint = Tracepoint { id: id.trim().parse().unwrap(), filter: Some(CString::new(filter).unwrap()) };
        (0..256).map_while(|cpu| Ring::open(cpu, std::slice::from_ref(&tracepoint), pages).ok()).collect()
    }

    /// Sends this process a signal that does nothing to one that runs: another in each test, as they run together.
    fn raise(signal: libc::c_int, times: usize) {
        for _ in 0..times {
            // SAFETY: it takes two numbers, and the default for these signals is that they are ignored.
            assert_eq!(unsafe { libc::kill(libc::getpid(), signal) }, 0);
        }
    }

    #[test]
    fn events_pass_the_kernels_filter_and_come_with_their_time() {
        let mut rings = rings(&format!("sig=={}&&pid=={}", libc::SIGWINCH, std::process::id()), 1);
        assert!(!rings.is_empty());
        raise(libc::SIGWINCH, 3);
        let mut seen = 0;
        for ring in &mut rings {
            while let Some(Record::Event { at, fields }) = ring.take() {
                assert!(at > Duration::ZERO && fields.len() >= 48);
                seen += 1;
            }
        }
        assert_eq!(seen, 3);
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let mut rings = rings(&format!("sig=={}&&pid=={}", libc::SIGCONT, std::process::id()), 1);
        let raised = 2000;
        raise(libc::SIGCONT, raised);
        let mut drain = || {
            let (mut seen, mut lost) = (0, 0);
            for ring in &mut rings {
                while let Some(record) = ring.take() {
                    match record {
                        Record::Event { .. } => seen += 1,
                        Record::Lost(count) => lost += count,
                    }
                }
            }
            (seen, lost)
        };
        let (seen, _) = drain();
        assert!(seen > 10 && seen < raised);
        // The next event that fits brings the count of those that did not.
        let mut lost = 0;
        let mut more = 0;
        while seen + more + usize::try_from(lost).unwrap() < raised + more {
            raise(libc::SIGCONT, 1);
            let (seen, newly_lost) = drain();
            (more, lost) = (more + seen, lost + newly_lost);
            std::thread::yield_now();
        }
        assert_eq!(seen + usize::try_from(lost).unwrap(), raised);
    }

    #[test]
    fn a_filter_that_is_none_is_refused() {
        assert!(rings("nothing==1", 1).is_empty());
        assert_eq!(Ring::open(0, &[], 1).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}
