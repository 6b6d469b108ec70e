//! The refusal of a request that is fit as such.

use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// When to try again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// `UNAVAILABLE` with `RetryInfo`: senders keep what they sent, and try again.
pub fn unavailable(message: impl Into<String>) -> Status {
    Status::with_error_details(Code::Unavailable, message, ErrorDetails::with_retry_info(Some(RETRY_AFTER)))
}
