//! Values that many objects have in common, held once.

use std::{borrow::Borrow, collections::BTreeSet, sync::Arc};

/// Below so many values nothing is gained by removing some.
const FEW: usize = 256;

/// Shared values. One that nothing refers to any more goes when the pool has doubled since the last time, so there are
/// at most twice as many as are in use.
#[derive(Debug)]
pub(super) struct Pool<T: ?Sized> {
    values: BTreeSet<Arc<T>>,
    sweep_at: usize,
}

impl<T: ?Sized> Default for Pool<T> {
    fn default() -> Self {
        Self { values: BTreeSet::new(), sweep_at: FEW }
    }
}

impl<T: Ord + ?Sized> Pool<T> {
    /// The one value that is equal to this.
    pub(super) fn share(&mut self, value: impl Borrow<T> + Into<Arc<T>>) -> Arc<T> {
        if let Some(shared) = self.values.get(value.borrow()) {
            return Arc::clone(shared);
        }
        if self.values.len() >= self.sweep_at {
            self.values.retain(|value| Arc::strong_count(value) > 1);
            self.sweep_at = FEW.max(2 * self.values.len());
        }
        let shared = value.into();
        self.values.insert(Arc::clone(&shared));
        shared
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_are_held_once_and_unused_ones_go() {
        let mut pool = Pool::<str>::default();
        let first = pool.share("web");
        assert!(Arc::ptr_eq(&first, &pool.share("web")));
        for number in 0..100 * FEW {
            drop(pool.share(number.to_string().as_str()));
        }
        assert!(pool.values.len() <= FEW, "{}", pool.values.len());
        assert!(Arc::ptr_eq(&first, &pool.share("web")), "what is in use stays");
    }
}
