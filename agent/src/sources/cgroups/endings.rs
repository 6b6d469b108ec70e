//! The way of containers' ends from the runtime to this source: what a cgroup has counted is read once more before the
//! runtime removes it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use coroner_diagnosis::observation::cri::ContainerId;
use nix::{
    errno::Errno,
    sys::{
        epoll::{Epoll, EpollEvent},
        eventfd::{EfdFlags, EventFd},
    },
};

/// Containers that may wait; what is beyond is read at its next look, if it is still there.
const CAPACITY: usize = 256;

/// Containers whose main process has just ended. Cloned freely; all clones are one.
#[derive(Clone, Debug, Default)]
pub struct Endings(Arc<Mutex<Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    containers: Vec<ContainerId>,
    /// Wakes the reader, while there is one.
    wake: Option<EventFd>,
}

impl Endings {
    /// The main process of a container has ended. Never waits.
    pub(in super::super) fn give(&self, container: ContainerId) {
        let mut waiting = self.waiting();
        let Waiting { containers, wake: Some(wake) } = &mut *waiting else { return };
        if containers.len() < CAPACITY {
            containers.push(container);
            let _awake_already = wake.write(1);
        }
    }

    /// From now on an end wakes the reader by this event.
    pub(super) fn wake(&self, epoll: &Epoll, event: EpollEvent) -> Result<(), Errno> {
        let wake = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        epoll.add(&wake, event)?;
        self.waiting().wake = Some(wake);
        Ok(())
    }

    /// All that wait.
    pub(super) fn take(&self) -> Vec<ContainerId> {
        let mut waiting = self.waiting();
        let _drained = waiting.wake.as_ref().map(EventFd::read);
        std::mem::take(&mut waiting.containers)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
