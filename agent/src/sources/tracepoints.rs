//! Tracepoints of the kernel by perf_event_open(2): the events of all CPUs, and the files of tracefs that describe
//! them.
//!
//! It needs CAP_PERFMON, and tracefs to be mounted, read-only at least.

use std::{ffi::CString, fs, io, os::fd::AsFd, path::Path, time::Duration};

use coroner_diagnosis::{messages::health, observation::trace::Format};
use coroner_sys::perf::{Record, Ring, Tracepoint};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};

use super::worker::{End, Worker, unreadable};
use crate::host::HostRoot;

/// Which CPUs there are; the same in every mount namespace.
const ONLINE: &str = "/sys/devices/system/cpu/online";
/// How long the events of a CPU that has come may be missing.
const CPUS_CHANGE: Duration = Duration::from_secs(10);

/// The events of watched tracepoints, of all CPUs.
#[derive(Debug)]
pub(crate) struct Events {
    tracepoints: Vec<Tracepoint>,
    pages: usize,
    rings: Vec<Ring>,
    epoll: Epoll,
    /// Which CPUs the rings are of, as the kernel writes it.
    cpus: String,
}

impl Events {
    /// Watches tracepoints on every CPU, with so many pages of buffer each: a power of two.
    pub(crate) fn open(tracepoints: Vec<Tracepoint>, pages: usize) -> Result<Self, End> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(End::failed("epoll_create"))?;
        let mut events = Self { tracepoints, pages, rings: Vec::new(), epoll, cpus: String::new() };
        events.follow_cpus()?;
        Ok(events)
    }

    /// Begins to watch CPUs that have come, and ends to watch those that have gone. False if none has.
    pub(crate) fn follow_cpus(&mut self) -> Result<bool, End> {
        let cpus = fs::read_to_string(ONLINE).map_err(End::unreadable(Path::new(ONLINE)))?;
        if cpus == self.cpus {
            return Ok(false);
        }
        let mut rings = Vec::new();
        for cpu in numbers(&cpus) {
            match Ring::open(cpu, &self.tracepoints, self.pages) {
                Ok(ring) => rings.push(ring),
                // It has gone in between; the file will change.
                Err(error) if error.raw_os_error() == Some(nix::libc::ENODEV) => {}
                Err(error) => return Err(refused(&error)),
            }
        }
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(End::failed("epoll_create"))?;
        for ring in &rings {
            epoll.add(ring, EpollEvent::new(EpollFlags::EPOLLIN, 0)).map_err(End::failed("epoll_ctl"))?;
        }
        (self.rings, self.epoll, self.cpus) = (rings, epoll, cpus);
        Ok(true)
    }

    /// Passes each waiting event to `take`.
    pub(crate) fn drain(&mut self, mut take: impl FnMut(Record<'_>)) {
        for ring in &mut self.rings {
            while let Some(record) = ring.take() {
                take(record);
            }
        }
    }

    /// Waits for events. False when `timeout`, or the time to look at the CPUs, came first.
    pub(crate) fn wait(&self, worker: &Worker, timeout: Duration) -> Result<bool, End> {
        worker.readable(self.epoll.0.as_fd(), Some(timeout.min(CPUS_CHANGE)))
    }
}

/// A tracepoint by its name, `<system>/<name>`, with the layout of its events.
pub(crate) fn find(host: &HostRoot, name: &str, filter: Option<&str>) -> Result<(Tracepoint, Format), End> {
    let dirs = ["kernel/tracing", "kernel/debug/tracing"].map(|dir| host.sys.join(dir));
    let tracefs = dirs.iter().find(|dir| dir.join("events").is_dir());
    let tracefs = tracefs.ok_or_else(|| End::absent(health::health_no_tracefs(dirs[0].display().to_string())))?;
    let file = tracefs.join("events").join(name).join("format");
    let absent = |error: &dyn std::fmt::Display| End::absent(unreadable(&file, error));
    let format = fs::read_to_string(&file).map_err(|error| absent(&error))?;
    let format = Format::parse(&format).map_err(|error| absent(&error))?;
    let filter = filter.map(CString::new).transpose().map_err(|error| absent(&error))?;
    Ok((Tracepoint { id: format.id, filter }, format))
}

fn refused(error: &io::Error) -> End {
    End::absent(health::health_no_perf(error.to_string()))
}

/// `0-3,8`
fn numbers(list: &str) -> impl Iterator<Item = u32> {
    list.trim_ascii()
        .split(',')
        .filter_map(|range| {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            Some(first.parse().ok()?..=last.parse().ok()?)
        })
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_cpus_are_read() {
        let read = |list: &str| numbers(list).collect::<Vec<_>>();
        assert_eq!(read("0-3,8\n"), [0, 1, 2, 3, 8]);
        assert_eq!(read("0\n"), [0]);
        assert_eq!(read(""), [0; 0]);
        assert_eq!(read("3-1,x,2-y"), [0; 0]);
    }
}
