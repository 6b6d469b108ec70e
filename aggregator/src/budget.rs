//! What each part of the program may hold in memory, by the limit of its cgroup: the sum of the parts stays below it,
//! whatever clients do.
//!
//! | part | of the limit | what bounds it |
//! |---|---:|---|
//! | connections | 37 % | their number, at 29 KiB each |
//! | requests that wait, in HTTP/2's windows | 6 % | their number |
//! | requests that are read and decoded | 7 % | their bytes |
//! | answers | 8 % | their bytes until they are sent |
//! | streams of programs | 5 % | their number |
//! | streams of browsers | 10 %, below 512 MiB 4 % | their number |
//! | pages of the ledger | 9 % | SQLite's caches |
//! | answers of the API server | 3 % | their number |
//!
//! What is left is the program itself (about 25 MiB) and the watch of the cluster, which gives way when memory comes
//! near the limit.

use crate::memory::Limits;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
/// The limit that is assumed where the cgroup has none.
const UNLIMITED: u64 = 2 * GIB;
/// A connection with TLS that pushes now and then (docs/benchmarks.md).
const CONNECTION: u64 = 29 * KIB;
/// A stream of the feed: a batch that is read, one that waits decoded, one that waits encoded, and one on its way.
const STREAM: u64 = 512 * KIB;
/// The same of a browser's stream, whose batches are small (docs/benchmarks.md).
const BROWSER: u64 = 44 * KIB;
/// What a peer may send of one connection's requests before it is read: HTTP/2's own default,
const WINDOW: u32 = 64 << 10;
/// and where there is much memory, as much as a usual push.
const LARGE_WINDOW: u32 = 128 << 10;
/// An answer of the API server that is remembered, with its key.
const REVIEW: u64 = 512;

/// What each part of the program may hold in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    limit: u64,
}

impl Budget {
    /// By the limit of this process' cgroup as it is now.
    pub fn find() -> Self {
        Self::of(Limits::find().memory().map_or(UNLIMITED, |memory| memory.limit))
    }

    /// The budget for this memory limit in bytes.
    pub fn of(limit: u64) -> Self {
        Self { limit }
    }

    fn percent(self, percent: u64) -> u64 {
        self.limit / 100 * percent
    }

    /// The most connections over TCP at once.
    pub(crate) fn connections(self) -> usize {
        number(self.percent(37) / CONNECTION, 64, 8192)
    }

    /// Bytes that a peer may send of one connection's requests before they are read.
    pub(crate) fn window(self) -> u32 {
        if self.limit < GIB { WINDOW } else { LARGE_WINDOW }
    }

    /// The most requests whose bodies wait to be read.
    pub(crate) fn waiting_requests(self) -> usize {
        number(self.percent(6) / u64::from(self.window()), 16, 2048)
    }

    /// Bytes of requests that are read and decoded.
    pub(crate) fn request_bytes(self) -> u64 {
        self.percent(7).max(16 * MIB)
    }

    /// Bytes of answers that are made or not yet sent.
    pub(crate) fn answer_bytes(self) -> u64 {
        self.percent(8).max(8 * MIB)
    }

    /// Bytes of one answer, roughly: clients take messages of 4 MiB by default.
    pub(crate) fn one_answer_bytes(self) -> usize {
        number(self.answer_bytes() / 24, 512 * KIB, 3 * MIB)
    }

    /// The most streams of programs at once.
    pub(crate) fn streams(self) -> usize {
        number(self.percent(5) / STREAM, 16, 256)
    }

    /// The most streams of browsers at once.
    pub(crate) fn browsers(self) -> usize {
        let percent = if self.limit < GIB / 2 { 4 } else { 10 };
        number(self.percent(percent) / BROWSER, 64, 2048)
    }

    /// KiB of the ledger's pages that its writer holds. The indexes are written to all over.
    pub(crate) fn writer_cache_kib(self) -> i64 {
        i64::try_from((self.percent(6) / KIB).clamp(2 * KIB, 32 * KIB)).unwrap_or(i64::MAX)
    }

    /// KiB of the ledger's pages that each of its readers holds.
    pub(crate) fn reader_cache_kib(self) -> i64 {
        i64::try_from((self.percent(3) / 8 / KIB).clamp(512, 4 * KIB)).unwrap_or(i64::MAX)
    }

    /// Answers of the API server that are remembered.
    pub(crate) fn reviews(self) -> u64 {
        (self.percent(3) / REVIEW).clamp(2_000, 50_000)
    }
}

fn number(count: u64, least: u64, most: u64) -> usize {
    usize::try_from(count.clamp(least, most)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All that clients can make the program hold, in bytes.
    fn held(budget: Budget) -> u64 {
        let kib = |kib: i64| kib.unsigned_abs() * KIB;
        budget.connections() as u64 * CONNECTION
            + budget.waiting_requests() as u64 * u64::from(budget.window())
            + budget.request_bytes()
            + budget.answer_bytes()
            + budget.streams() as u64 * STREAM
            + budget.browsers() as u64 * BROWSER
            + kib(budget.writer_cache_kib())
            + 8 * kib(budget.reader_cache_kib())
            + budget.reviews() * REVIEW
    }

    #[test]
    fn the_parts_and_the_program_itself_fit_into_the_limit() {
        for limit in [256 * MIB, 512 * MIB, GIB, 4 * GIB] {
            let budget = Budget::of(limit);
            assert!(held(budget) + 25 * MIB < limit / 100 * 90, "{limit}: {}", held(budget));
            assert!(budget.one_answer_bytes() as u64 * 8 <= budget.answer_bytes(), "{limit}");
        }
    }

    #[test]
    fn half_a_gibibyte_is_enough_for_the_largest_clusters_and_a_thousand_browsers() {
        // As `auth::Connections` shares them.
        let connections = Budget::of(512 * MIB).connections();
        assert!(connections / 6 >= 1_000, "{connections}");
        assert!(connections - connections / 6 - connections / 20 - connections / 40 >= 5_000, "{connections}");
        assert!(Budget::of(512 * MIB).browsers() / 8 * 7 >= 1_000);
    }
}
