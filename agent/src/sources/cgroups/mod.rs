//! The files of the node's cgroups, of pods, containers and what holds all pods: limits, use, and how often memory ran
//! out.
//!
//! The kernel notifies: inotify reports new and vanished directories, new limits and (v2) changes of
//! `memory.events` and `cgroup.events`; an eventfd reports (v1) that memory ran out in a pod or one of its containers.
//! In addition each cgroup is looked at once a minute, so that what it used shortly before its end is known.
//!
//! When a container's directory is gone its counters are gone, so they are read once more when the runtime reports that
//! its main process has ended, which is before it removes the directory; on v2 those of its pod, which count all below,
//! last longer. On v1 the eventfd is signalled before the kernel has chosen a victim, and for every container of a pod
//! whose limit was reached: so all of them are looked at, and again until the counters moved.

mod endings;
mod groups;
pub(super) mod hierarchy;
mod watcher;

use std::{convert::Infallible, time::Instant};

use coroner_diagnosis::observation::Source;

pub use self::endings::Endings;
use self::{hierarchy::Hierarchy, watcher::Watcher};
use super::{
    site::Site,
    worker::{End, Worker},
};
use crate::host::HostRoot;

/// Starts the source `cgroups` in a thread.
pub fn spawn(site: &Site, host: HostRoot, endings: Endings) {
    let sys = host.sys;
    site.thread(&site.outlet(Source::Cgroups), move |worker| {
        let mut watcher = Watcher::new(Hierarchy::find(&sys).map_err(End::absent)?, endings.clone())?;
        watch(&mut watcher, worker)
    });
}

fn watch(watcher: &mut Watcher, worker: &mut Worker) -> Result<Infallible, End> {
    watcher.discover_all(worker)?;
    loop {
        worker.health(watcher.health())?;
        let wait = watcher.next_look().saturating_duration_since(Instant::now());
        if worker.readable(watcher.events(), Some(wait))? {
            watcher.take_events(worker)?;
        }
        watcher.look_at_due(worker)?;
    }
}

#[cfg(test)]
mod tests;
