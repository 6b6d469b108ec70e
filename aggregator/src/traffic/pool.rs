//! Bytes of memory that many share: taken before they are used, given back when what used them is dropped.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// Bytes are counted in units of this many.
const UNIT: u64 = 1 << 10;

/// A bounded amount of memory in bytes that requests or answers share.
#[derive(Clone, Debug)]
pub(super) struct Pool {
    free: Arc<Semaphore>,
    units: u32,
}

/// Bytes of a pool that are reserved until this is dropped.
#[derive(Debug)]
pub(super) struct Reserved(OwnedSemaphorePermit);

impl Pool {
    pub(super) fn new(bytes: u64) -> Self {
        let units = units(bytes);
        Self { free: Arc::new(Semaphore::new(units as usize)), units }
    }

    /// Takes so many bytes, in the order of asking; all there are for more. `None` if they are not free in time.
    pub(super) async fn take(&self, bytes: u64, patience: Duration) -> Option<Reserved> {
        let units = units(bytes).min(self.units);
        let taken = timeout(patience, Arc::clone(&self.free).acquire_many_owned(units)).await;
        taken.ok()?.ok().map(Reserved)
    }
}

impl Reserved {
    /// Gives back what is not needed: all but so many bytes.
    pub(super) fn shrink(&mut self, bytes: u64) {
        let unneeded = self.0.num_permits().saturating_sub(units(bytes) as usize);
        drop(self.0.split(unneeded));
    }
}

fn units(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn bytes_are_taken_and_come_back() {
        let pool = Pool::new(10 << 10);
        let second = Duration::from_secs(1);
        let mut first = pool.take(6 << 10, second).await.unwrap();
        assert!(pool.take(5 << 10, second).await.is_none(), "more than is free");
        first.shrink(1);
        let second_part = pool.take(9 << 10, second).await.unwrap();
        assert!(pool.take(1, second).await.is_none());
        drop((first, second_part));
        assert!(pool.take(1 << 30, second).await.is_some(), "never more than there is");
    }
}
