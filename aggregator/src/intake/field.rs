//! The rules for single fields of a record.

use prost_types::Timestamp;

use crate::time::nanoseconds;

/// Bytes of a name of Kubernetes.
const MAX_NAME_BYTES: usize = 253;

/// Why a record is refused, to follow its name.
pub(super) type Refusal = String;

pub(super) fn known<E: TryFrom<i32>>(field: &str, number: i32) -> Result<(), Refusal> {
    E::try_from(number).map(drop).map_err(|_| format!("{field} {number} is not known to this version"))
}

pub(super) fn name(field: &str, text: &str) -> Result<(), Refusal> {
    if text.len() > MAX_NAME_BYTES || text.contains(char::is_control) {
        return Err(format!("{field} has more than {MAX_NAME_BYTES} bytes or control characters"));
    }
    Ok(())
}

pub(super) fn time(field: &str, time: Option<&Timestamp>) -> Result<(), Refusal> {
    match time {
        Some(time) if nanoseconds(time).is_none() => Err(format!("{field} is out of range")),
        _ => Ok(()),
    }
}
