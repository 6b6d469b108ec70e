//! From this crate's types to those of the wire.

use jiff::Timestamp;

/// A point in time, as messages of the protocol hold it.
pub fn time(at: Timestamp) -> prost_types::Timestamp {
    let nanos = at.subsec_nanosecond();
    // The protobuf form counts nanoseconds forward from the second before; jiff's carry the second's sign.
    if nanos < 0 {
        prost_types::Timestamp { seconds: at.as_second() - 1, nanos: nanos + 1_000_000_000 }
    } else {
        prost_types::Timestamp { seconds: at.as_second(), nanos }
    }
}
