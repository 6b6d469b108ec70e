//! How many streams there may be at once.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{auth::Caller, budget::Budget};

/// The kind of reader that a slot is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A program: large batches.
    Program,
    /// A browser: some rows at a time.
    Browser,
}

/// The slots of streams. Programs and browsers have slots of their own, and of both users, of whom there may be any
/// number, take so many at most that those with a certificate, or on a listener that does not authenticate, find some.
#[derive(Debug)]
pub(super) struct Slots {
    programs: Places,
    browsers: Places,
    /// Each open stream holds it too.
    open: Arc<()>,
}

#[derive(Debug)]
struct Places {
    all: Arc<Semaphore>,
    users: Arc<Semaphore>,
}

/// A slot; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    _permit: OwnedSemaphorePermit,
    _of_users: Option<OwnedSemaphorePermit>,
    _open: Arc<()>,
}

impl Places {
    fn new(all: usize, users: usize) -> Self {
        Self { all: Arc::new(Semaphore::new(all)), users: Arc::new(Semaphore::new(users)) }
    }
}

impl Slots {
    pub(super) fn new(budget: Budget) -> Self {
        let (programs, browsers) = (budget.streams(), budget.browsers());
        Self {
            programs: Places::new(programs, programs / 2),
            browsers: Places::new(browsers, browsers / 8 * 7),
            open: Arc::default(),
        }
    }

    pub(super) fn open_count(&self) -> usize {
        Arc::strong_count(&self.open) - 1
    }

    /// A slot for one more stream of this caller.
    pub(super) fn of(&self, caller: &Caller, kind: Kind) -> Option<Slot> {
        let places = match kind {
            Kind::Program => &self.programs,
            Kind::Browser => &self.browsers,
        };
        let of_users = match caller.is_user() {
            true => Some(Arc::clone(&places.users).try_acquire_owned().ok()?),
            false => None,
        };
        let permit = Arc::clone(&places.all).try_acquire_owned().ok()?;
        Some(Slot { _permit: permit, _of_users: of_users, _open: Arc::clone(&self.open) })
    }
}
