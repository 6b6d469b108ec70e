//! Limits of connections, in all and from one address, so that the kubelet's probes are never blocked.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

/// Connections at once.
const ALL: usize = 64;
/// Connections at once from one address.
const SHARE: usize = 8;

/// Counts connections by their addresses. Cloned freely; all clones are one.
#[derive(Clone, Debug, Default)]
pub(super) struct Limiter(Arc<Mutex<BTreeMap<IpAddr, usize>>>);

/// One connection's place, given back when dropped.
#[derive(Debug)]
pub(super) struct Pass {
    limiter: Limiter,
    address: IpAddr,
}

impl Limiter {
    /// A place for a connection from this address; `None` if it has its share, or all are taken.
    pub(super) fn enter(&self, address: IpAddr) -> Option<Pass> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if open.values().sum::<usize>() >= ALL || open.get(&address).is_some_and(|open| *open >= SHARE) {
            return None;
        }
        *open.entry(address).or_default() += 1;
        drop(open);
        Some(Pass { limiter: self.clone(), address })
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut open = self.limiter.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::iter::from_fn;

    use super::*;

    #[test]
    fn one_address_has_a_share_and_all_together_a_bound() {
        let limiter = Limiter::default();
        let address = |n: u8| IpAddr::from([10, 0, 0, n]);
        let mine: Vec<_> = from_fn(|| limiter.enter(address(1))).take(100).collect();
        assert_eq!(mine.len(), SHARE);
        assert!(limiter.enter(address(2)).is_some(), "another is let in");
        let others: Vec<_> = (2..100).filter_map(|n| limiter.enter(address(n))).collect();
        assert_eq!(mine.len() + others.len(), ALL);
        drop(mine);
        assert!(limiter.enter(address(200)).is_some());
        drop(others);
        assert!(limiter.0.lock().unwrap().is_empty(), "nothing is kept of who has gone");
    }
}
