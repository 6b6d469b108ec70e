//! The refusal of a request that is fit as such.

use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// When to retry, where it is not known when there will be space.
pub const RETRY_AFTER: Duration = Duration::from_secs(1);

/// `UNAVAILABLE` with `RetryInfo`: senders keep what they sent, and try again.
pub fn unavailable(message: impl Into<String>) -> Status {
    Status::with_error_details(Code::Unavailable, message, ErrorDetails::with_retry_info(Some(RETRY_AFTER)))
}

/// `RESOURCE_EXHAUSTED` with `RetryInfo`, of more than a caller's share: without it, senders would take the message for
/// too large and cut it.
pub fn busy(message: impl Into<String>, retry_after: Duration) -> Status {
    Status::with_error_details(Code::ResourceExhausted, message, ErrorDetails::with_retry_info(Some(retry_after)))
}
