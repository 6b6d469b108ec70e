//! Asks the sources on threads how far they have read.
//!
//! A reader that waits has read everything, but one that was not scheduled for a while looks the same. Where a verdict
//! rests on the silence of sources, they are woken, read what is there, and confirm it with a [`Fact::ReadUpTo`].
//!
//! [`Fact::ReadUpTo`]: coroner_diagnosis::observation::Fact::ReadUpTo

use std::sync::{Arc, Mutex, PoisonError, Weak};

use nix::{
    errno::Errno,
    sys::eventfd::{EfdFlags, EventFd},
};
use tracing::error;

/// The running threads of sources. Cloned freely; all clones are one.
#[derive(Clone, Debug, Default)]
pub struct Readers(Arc<Mutex<Vec<Weak<EventFd>>>>);

impl Readers {
    /// What wakes one more thread, for as long as that keeps it.
    pub(super) fn add(&self) -> Result<Arc<EventFd>, Errno> {
        let wake = Arc::new(EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?);
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|reader| reader.strong_count() > 0);
        all.push(Arc::downgrade(&wake));
        Ok(wake)
    }

    /// Wakes the threads of all sources, so that they report how far they have read.
    pub fn ask(&self) {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for reader in all.iter().filter_map(Weak::upgrade) {
            if let Err(error) = reader.write(1) {
                error!(%error, "Cannot wake the thread of a source");
            }
        }
    }
}
