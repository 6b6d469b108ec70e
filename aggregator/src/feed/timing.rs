//! How streams keep time.

use std::time::Duration;

/// The intervals and deadlines of streams.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// A stream that has sent nothing for so long sends a bookmark.
    pub bookmark_interval: Duration,
    /// A stream whose client takes nothing for so long is ended.
    pub stall_limit: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self { bookmark_interval: Duration::from_secs(15), stall_limit: Duration::from_secs(60) }
    }
}
