//! Draws that are the same for the same seed.

/// xorshift64.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    /// Draws of this seed.
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `bound`, which is not 0.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }

    /// Whether something comes true that does so once in `of` times.
    pub(super) fn once_in(&mut self, of: u64) -> bool {
        self.below(of) == 0
    }

    /// One of these.
    pub(super) fn of<T: Copy>(&mut self, all: &[T]) -> T {
        let bound = u64::try_from(all.len()).unwrap_or(u64::MAX);
        all[usize::try_from(self.below(bound)).unwrap_or(0)]
    }
}
