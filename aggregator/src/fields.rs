//! Fields of requests, checked.

use prost_types::Timestamp;
use tonic::Status;

use crate::time::nanoseconds;

/// A time, in nanoseconds since 1970.
pub(crate) fn time(field: &str, time: &Timestamp) -> Result<i64, Status> {
    nanoseconds(time).ok_or_else(|| Status::invalid_argument(format!("{field} is out of range")))
}

/// A size from a request: the default for 0, the most for more.
pub(crate) fn size(field: &str, asked: i32, (default, most): (usize, usize)) -> Result<usize, Status> {
    match usize::try_from(asked) {
        Ok(0) => Ok(default),
        Ok(asked) => Ok(asked.min(most)),
        Err(_) => Err(Status::invalid_argument(format!("{field} must not be negative"))),
    }
}
